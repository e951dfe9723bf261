"""What the modes of `sample` write, and the suffixes of their files."""

from stylegen.checkpoints.snapshot import Snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.latent.sample_figures.figure import Figure
from stylegen.latent.sample_images import FORMS, SampleImages
from stylegen.latent.sample_video import SUFFIXES, SampleVideo
from stylegen.latent.seeds import parse_seeds
from stylegen.verbs.sample_figure_choice import choose_figure
from stylegen.verbs.video_timing import video_timing
from stylegen.video_file import SUFFIX as MP4


def suffixes(settings: SampleSettings) -> tuple[str, ...]:
    """Of the files that a mode writes, the default first; "" is a folder of PNGs."""
    video = SUFFIXES if settings.audio is None else (MP4,)
    return {"images": FORMS, "video": video}.get(settings.mode, (".png",))


def choose_output(settings: SampleSettings, snapshot: Snapshot, suffix: str) -> SampleImages | Figure | SampleVideo:
    """The output of `settings.mode`, with `check_size` and `write`.

    Args:
        suffix: type of the file to write.
    """
    seeds = parse_seeds(settings.seeds)
    if settings.mode == "images":
        names = list(snapshot.info.get("class_names", []))
        form = suffix.lower() if suffix.lower() in FORMS else ""
        images = SampleImages(list(dict.fromkeys(seeds)), form, settings.save_latents, names)
        images.check_scale(settings.scale or 1)  # before an interrupted command's images are replaced
        return images
    if settings.mode == "video":
        motion = None if settings.motion == "none" else (settings.motion, settings.motion_size)
        return SampleVideo(seeds, settings.tiles, settings.columns, video_timing(settings), suffix.lower(), motion)
    return choose_figure(settings, snapshot, seeds)
