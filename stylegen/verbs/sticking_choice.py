"""The figure of texture sticking that the settings of `sample` describe."""

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.errors import UserError
from stylegen.latent.sample_figures.sticking_figure import StickingFigure
from stylegen.networks import StyleGenerator
from stylegen.verbs.sample_source import build_sampler


def sticking_figure(settings: SampleSettings, snapshot: Snapshot, seeds: list[int]) -> StickingFigure:
    """The figure, with the network of `compare=` beside the first.

    Raises:
        UserError: a second network of another resolution or number of channels, or one that the settings do not fit.
    """
    second = None if settings.compare is None else load_snapshot(settings.compare)
    sizes = [_size(s.generator) for s in (snapshot, second) if s is not None]
    if len(set(sizes)) > 1:
        raise UserError(
            f"compare={settings.compare} of {sizes[1]}",
            rule=f"must match the first network, {sizes[0]}",
            fix="Use two snapshots of one resolution and number of channels",
        )
    return StickingFigure(
        seeds=seeds,
        captions=settings.captions,
        frames=settings.frames,
        second=None if second is None else build_sampler(settings, second),
    )


def _size(generator: StyleGenerator) -> str:
    channels = generator.channels
    return f"{generator.level.resolution} px and {channels} channel{'s' * (channels > 1)}"
