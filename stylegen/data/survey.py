"""What a collection of images is like, from the headers of at most 512 of them: number, sizes, channels, labels.

Nothing is decoded, so this takes seconds even for large collections.
"""

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from stylegen.data import openmoji
from stylegen.data.decoding import PREPARED_PX
from stylegen.data.metadata import class_names
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_FORMATS, CONVERTIBLE_SUFFIXES, is_image
from stylegen.data.sources.parquet import ParquetSource
from stylegen.data.sources.source import Source
from stylegen.spec import MAX_RESOLUTION, MIN_RESOLUTION, is_power_of_two, power_of_two_below

_GRAY, _TRAINABLE = ("1", "L", "LA", "I;16", "I;16B", "I"), ("L", "RGB")
_MOST, _MOST_OF_PARQUET = 512, 8  # images; Parquet reads whole groups of rows
_HEAD_BYTES = 2**16


@dataclass(frozen=True)
class Survey:
    """What is in a collection of images.

    Attributes:
        count: number of images.
        sizes: distinct (width, height) of the images read, in pixels, ascending.
        stored: side of the images if all can be trained on as they are: square, a power of two, gray or RGB, alike.
            None if they must be converted first.
        side: side of nine tenths of the images, if these are squares of one size, a power of two; else None.
        natural: largest power of two that nine tenths of the images fill with their shorter side.
        gray: whether none has colors.
        labels: "3 classes", "labels of 40 numbers", or None.
    """

    count: int
    sizes: tuple[tuple[int, int], ...]
    stored: int | None
    side: int | None
    natural: int
    gray: bool
    labels: str | None

    @property
    def channels(self) -> str:
        """The conversion that keeps their colors: "gray" or "rgb"."""
        return "gray" if self.gray else "rgb"

    def __str__(self) -> str:
        """Number, size, colors and labels, for the user."""
        first, last = self.sizes[0], self.sizes[-1]
        sizes = f"{first[0]}x{first[1]}" if first == last else f"{first[0]}x{first[1]} to {last[0]}x{last[1]}"
        colors = "gray" if self.gray else "color"
        return f"{self.count:,} image{'s' * (self.count > 1)} of {sizes} px, {colors}, {self.labels or 'no labels'}"


def chosen_resolution(survey: Survey) -> int:
    """The resolution to convert images to: the size that they have, or `natural`, at most 256 px."""
    return survey.side or min(survey.natural, PREPARED_PX)


def survey_images(path: str, setting: str = "data.path", resolution: int | None = None) -> Survey | None:
    """The survey of a folder, .zip, .lmdb or .parquet, or of openmoji; None if no image can be read.

    Args:
        setting: name of the setting with the path, for errors.
        resolution: resolution of openmoji, which is rendered in any; null for its own.

    Raises:
        UserError: no such path, or another kind of file; a damaged archive.
    """
    place = openmoji.dataset_path(resolution or openmoji.DEFAULT_RESOLUTION) if path == openmoji.NAME else path
    source = open_source(place, setting, CONVERTIBLE_SUFFIXES)
    try:
        return _survey(source)
    finally:
        source.close()


def _survey(source: Source) -> Survey | None:
    keys = source.keys()
    looked_at = _spread(keys, _MOST_OF_PARQUET if isinstance(source, ParquetSource) else _MOST)
    headers = [_header(source, key) for key in looked_at]
    found = [header for header in headers if header is not None]
    if not found:
        return None
    sizes = tuple(sorted({(width, height) for width, height, _ in found}, key=lambda size: (min(size), size)))
    size, share = Counter((width, height) for width, height, _ in found).most_common(1)[0]
    sides = sorted(min(width, height) for width, height, _ in found)
    trainable = len(set(headers)) == 1 and found[0][2] in _TRAINABLE
    named = isinstance(source, ParquetSource) or all(map(is_image, keys))
    return Survey(
        count=len(keys),
        sizes=sizes,
        stored=size[0] if trainable and named and _fits(*size) else None,
        side=size[0] if _fits(*size) and share >= 0.9 * len(looked_at) else None,
        natural=power_of_two_below(sides[len(sides) // 10]),
        gray=all(mode in _GRAY for _, _, mode in found),
        labels=_labels(source, keys),
    )


def _spread(keys: Sequence[str], most: int) -> Sequence[str]:
    """At most `most` of them, evenly spread."""
    return keys[:: -(-len(keys) // most) or 1]


def _header(source: Source, key: str) -> tuple[int, int, str] | None:
    """Width, height and Pillow's mode; None for a file that is not an image."""
    for limit in (_HEAD_BYTES, None):  # some headers are longer
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(source.read(key, limit)), formats=CONVERTIBLE_FORMATS) as image:
                    return image.width, image.height, image.mode
        except Exception:  # the parsers raise nearly anything on damaged bytes; who reads the image reports it
            continue
    return None


def _fits(width: int, height: int) -> bool:
    return width == height and is_power_of_two(width) and MIN_RESOLUTION <= width <= MAX_RESOLUTION


def _labels(source: Source, keys: Sequence[str]) -> str | None:
    labels = [source.label(key) for key in keys]
    first = labels[0]
    if isinstance(first, tuple):
        return f"labels of {len(first)} numbers"
    return None if first is None else f"{len(class_names(source.metadata) or set(labels))} classes"
