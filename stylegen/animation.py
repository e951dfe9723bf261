"""Animations: WebP and GIF. Equal frames give equal bytes."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

SUFFIXES = (".webp", ".gif")
MAX_SIDE = 16383  # pixels, of WebP
MAX_FPS = 50  # browsers play shorter frames slowly
_OPTIONS: dict[str, dict[str, Any]] = {
    ".webp": {"format": "WEBP", "quality": 90, "method": 4},
    ".gif": {"format": "GIF", "disposal": 1},
}


def write_animation(
    path: Path,
    frames: Sequence[Image.Image],
    milliseconds: int | Sequence[int],
    suffix: str | None = None,
    endless: bool = True,
) -> None:
    """Write an animation, not atomically.

    Args:
        frames: at least one, all of one size.
        milliseconds: duration of every frame, or of each. GIF rounds them down to multiples of 10 ms.
        suffix: type of the file, in `SUFFIXES`; None for the suffix of `path`.
        endless: repeat forever; else play once.
    """
    durations = [milliseconds] * len(frames) if isinstance(milliseconds, int) else list(milliseconds)
    first, *rest = frames
    options = dict(_OPTIONS[suffix or path.suffix.lower()])
    if endless or options["format"] == "WEBP":  # a GIF without a count plays once
        options["loop"] = 0 if endless else 1
    try:
        first.save(path, save_all=True, append_images=rest, duration=durations, **options)
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def frame_times(count: int, fps: float, suffix: str) -> list[int]:
    """Milliseconds of each frame, in the format's unit of 1 or 10 ms; rounding errors do not add up."""
    unit = 10 if suffix.lower() == ".gif" else 1
    ends = [round(i * 1000 / fps / unit) * unit for i in range(count + 1)]
    return [b - a for a, b in pairwise(ends)]
