"""What the modes of `sample` write, and the suffixes of their files."""

from stylegen.animation import SUFFIXES
from stylegen.config.settings import SampleSettings
from stylegen.latent.sample_figures import SampleFigure, SampleImages
from stylegen.latent.sample_loops import SampleLoops

STRIP_FRAMES, VIDEO_FRAMES = 8, 24  # from one seed to the next


def suffixes(mode: str) -> tuple[str, ...]:
    """Of the file that a mode writes, the default first; empty for a folder of PNGs."""
    return {"images": (), "video": SUFFIXES}.get(mode, (".png",))


def choose_output(
    settings: SampleSettings, seeds: list[int], others: list[int]
) -> SampleImages | SampleFigure | SampleLoops:
    """The output of `settings.mode`, with `check_size` and `write`."""
    if settings.mode == "images":
        return SampleImages(seeds)
    if settings.mode == "video":
        return SampleLoops(
            seeds=seeds,
            tiles=settings.tiles,
            columns=settings.columns,
            frames=settings.frames or VIDEO_FRAMES,
            fps=settings.fps,
        )
    return SampleFigure(
        mode=settings.mode,
        seeds=seeds,
        columns=settings.columns,
        psis=settings.psis,
        others=others,
        layers=settings.layers,
        frames=settings.frames or STRIP_FRAMES,
        captions=settings.captions,
    )
