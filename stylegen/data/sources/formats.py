"""Which files are read: image formats, file names, and size limits."""

from pathlib import PurePosixPath

FORMATS = ("PNG", "JPEG", "WEBP")
"""Image formats for training. Pillow has some seventy parsers; fewer are a smaller attack surface."""

CONVERTIBLE_FORMATS = (*FORMATS, "TIFF", "GIF", "BMP")
"""Image formats that `prepare` reads."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
CONVERTIBLE_SUFFIXES = (*IMAGE_SUFFIXES, ".tif", ".tiff", ".gif", ".bmp", ".jfif", ".jpe")
"""File names that `prepare` reads."""

_OTHER_SUFFIXES = (
    *(".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dng", ".exr", ".gif", ".heic", ".heif", ".jfif", ".jp2"),
    *(".jpe", ".jxl", ".nef", ".orf", ".pgm", ".ppm", ".psd", ".raf", ".rw2", ".svg", ".tga", ".tif", ".tiff"),
)

MAX_PIXELS = 64 * 10**6
MAX_IMAGE_BYTES = 256 * 2**20
"""Limit for one encoded image: 64 megapixels of uncompressed RGBA."""

MAX_METADATA_BYTES = 128 * 2**20
"""Limit for `dataset.json` or a file of labels: 1.3 million images take about 100 MiB."""


def is_image(key: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> bool:
    """Whether this relative path names an image; hidden files and macOS's `__MACOSX` copies do not count."""
    return key.lower().endswith(suffixes) and not _is_hidden(key)


def is_unread_image(key: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> bool:
    """Whether this relative path names an image in a format that is not read."""
    return key.lower().endswith(_OTHER_SUFFIXES) and not is_image(key, suffixes) and not _is_hidden(key)


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(key).parts)
