"""What is read at all: formats of pictures, and how large a file, a picture and a note may be. Imports no torch."""

FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow knows some seventy formats; each parser that is not needed is one less to be attacked."""

CONVERTIBLE_FORMATS = (*FORMATS, "TIFF", "GIF", "BMP")
"""What `prepare` reads."""

MAX_PIXELS = 64 * 10**6
MAX_PICTURE_BYTES = 256 * 2**20
"""Of one encoded picture: a 64-megapixel RGBA picture, not compressed at all."""

MAX_NOTE_BYTES = 128 * 2**20
"""Of `dataset.json`, or of labels in a file: 1.3 million pictures take about 100 MiB."""
