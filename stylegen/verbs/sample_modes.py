"""What the modes of `sample` write, and the suffixes of their files."""

import torch

from stylegen.checkpoints.snapshot import Snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.latent.sample_figures.class_figure import ClassFigure
from stylegen.latent.sample_figures.figure import Figure
from stylegen.latent.sample_figures.interpolation_figure import InterpolationFigure
from stylegen.latent.sample_figures.mixing_figure import MixingFigure
from stylegen.latent.sample_figures.noise_figure import NoiseFigure
from stylegen.latent.sample_figures.seed_grid import SeedGrid
from stylegen.latent.sample_figures.truncation_figure import TruncationFigure
from stylegen.latent.sample_images import FORMS, SampleImages
from stylegen.latent.sample_labels import GivenLabels, parse_labels
from stylegen.latent.sample_video import SUFFIXES, SampleVideo
from stylegen.latent.seeds import parse_seeds
from stylegen.verbs.sample_source import find_source
from stylegen.verbs.video_timing import video_timing
from stylegen.video_file import SUFFIX as MP4

STRIP_FRAMES = 8  # from one seed to the next


def suffixes(settings: SampleSettings) -> tuple[str, ...]:
    """Of the files that a mode writes, the default first; "" is a folder of PNGs."""
    video = SUFFIXES if settings.audio is None else (MP4,)
    return {"images": FORMS, "video": video}.get(settings.mode, (".png",))


def choose_output(settings: SampleSettings, snapshot: Snapshot, suffix: str) -> SampleImages | Figure | SampleVideo:
    """The output of `settings.mode`, with `check_size` and `write`.

    Args:
        suffix: of the file to write.
    """
    seeds = parse_seeds(settings.seeds)
    if settings.mode == "images":
        names = list(snapshot.info.get("class_names", []))
        return SampleImages(
            list(dict.fromkeys(seeds)), suffix.lower() if suffix.lower() in FORMS else "", settings.save_latents, names
        )
    if settings.mode == "video":
        return SampleVideo(seeds, settings.tiles, settings.columns, video_timing(settings), suffix.lower())
    return _figure(settings, snapshot, seeds)


def _figure(settings: SampleSettings, snapshot: Snapshot, seeds: list[int]) -> Figure:
    captions = settings.captions
    match settings.mode:
        case "truncation":
            return TruncationFigure(seeds=seeds, captions=captions, psis=settings.psis)
        case "mixing":
            return MixingFigure(
                seeds=seeds,
                captions=captions,
                others=parse_seeds(settings.mix_seeds, "mix_seeds"),
                layers=settings.layers,
                other_source=find_source(settings, snapshot, "mix_latents"),
            )
        case "noise":
            return NoiseFigure(seeds=seeds, captions=captions)
        case "interpolation":
            return InterpolationFigure(seeds=seeds, captions=captions, frames=settings.frames or STRIP_FRAMES)
        case "classes":
            labels = parse_labels(settings.label, snapshot)
            table = labels.table if isinstance(labels, GivenLabels) else torch.eye(snapshot.generator.num_classes)
            return ClassFigure(seeds=seeds, captions=captions, table=table, names=snapshot.info.get("class_names"))
    return SeedGrid(seeds=seeds, captions=captions, columns=settings.columns)
