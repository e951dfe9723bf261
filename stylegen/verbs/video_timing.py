"""The timing of a video, from the settings of `sample`."""

from pathlib import Path

from stylegen.config.sample_settings import SampleSettings
from stylegen.latent.timing import Soundtrack, Timing, parse_times
from stylegen.video_file import read_audio

_FRAMES = 24  # from one seed to the next


def video_timing(settings: SampleSettings) -> Timing:
    """When the video shows which seed.

    Raises:
        UserError: a sound file that cannot be read.
    """
    sound = None
    if settings.audio is not None:
        audio = read_audio(Path(settings.audio).expanduser())
        sound = Soundtrack(audio, settings.audio_follows, settings.audio_reaction)
    return Timing(
        fps=settings.fps,
        frames=settings.frames or (None if sound else _FRAMES),
        keyframes=parse_times(settings.keyframes),
        closed=settings.loop,
        sound=sound,
    )


def video_names(settings: SampleSettings) -> list[str]:
    """The choices that change a video, as parts of a file name."""
    parts = [f"tiles{settings.tiles}"] * (settings.tiles > 1)
    parts += ["open"] * (not settings.loop)
    parts += {"none": [], "circle": [f"circle{settings.motion_size:g}"], "rotate": ["rotate"]}[settings.motion]
    parts += [] if settings.keyframes is None else [f"keyframes{settings.keyframes}"]
    if settings.audio is not None:
        parts.append(f"{settings.audio_follows}{settings.audio_reaction:g}-{Path(settings.audio).stem}")
    return parts
