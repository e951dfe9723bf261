"""Decode one image for training exactly as it is stored, or refuse it.

Palettes, CMYK and 16 bits need a decision by the user and are not converted here (see
`prepare.image_conversion`). Damaged files are refused, and only the three training formats are ever parsed.
"""

import io
import shlex
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from stylegen.data.sources.formats import FORMATS, MAX_PIXELS
from stylegen.data.sources.source import Source
from stylegen.errors import UserError
from stylegen.spec import MAX_RESOLUTION, MIN_RESOLUTION, is_power_of_two, power_of_two_below

if TYPE_CHECKING:  # decoding workers avoid torch: importing it takes longer than their work
    from torch import Tensor

PREPARED_PX = 256  # at most this is proposed for images that are resized anyway
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_HEAD_BYTES = 2**16  # enough for the header of nearly every file


class Header(NamedTuple):
    """Width and height in pixels, 1 to 4 channels."""

    width: int
    height: int
    channels: int

    @classmethod
    def of(cls, shape: Sequence[int]) -> "Header":
        """Header of pixels with shape [C, H, W]."""
        channels, height, width = shape
        return cls(width, height, channels)

    @property
    def num_bytes(self) -> int:
        """Size of the decoded pixels."""
        return self.width * self.height * self.channels

    def __str__(self) -> str:
        return f"{self.width}x{self.height} with {self.channels} channel{'s' * (self.channels > 1)}"


def read_header(data: bytes, name: str) -> Header:
    """Size and channels of an encoded image; `name` is for errors.

    Raises:
        UserError: not a PNG, JPEG or WebP file; a mode other than gray or RGB, each with or without alpha; more than 64
            megapixels.
    """
    with _open(data, name) as image:
        return _header(image, name)


def decode(data: bytes, name: str) -> "Tensor":
    """`decode_array` as a tensor."""
    import torch

    return torch.from_numpy(decode_array(data, name))


def decode_array(data: bytes, name: str) -> np.ndarray:
    """uint8 [channels, height, width], with the orientation of the EXIF data applied.

    Raises:
        UserError: as for `read_header`, and for damaged or truncated data.
    """
    with _open(data, name) as image:
        _header(image, name)
        try:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
        except Exception as error:  # the parsers raise nearly anything on damaged bytes
            raise _undecodable(name, error) from error
        array = np.array(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy()


def encode_png(array: np.ndarray) -> bytes:
    """uint8 [height, width] or [height, width, channels] as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


def location(source: Source, key: str) -> str:
    """Path of an image, for errors."""
    return str(source.path / key)


def header_of(source: Source, key: str) -> Header:
    """Size and channels of one image, from its first bytes if they suffice."""
    where = location(source, key)
    try:
        return read_header(source.read(key, _HEAD_BYTES), where)
    except UserError:  # long metadata before the pixels, or a format that needs the whole file
        return read_header(source.read(key), where)


def check_trainable(header: Header, source: Source, key: str, resolution: int | None) -> None:
    """Raises UserError for an image that is not square, not a power of two, or not of the requested resolution."""
    where = location(source, key)
    name = shlex.quote(f"out={source.path.stem}{_side_below(header)}.zip")
    command = (
        f"python -m stylegen prepare {shlex.quote(f'source={source.path}')} {name} resolution={_side_below(header)}"
    )
    if header.width != header.height:
        raise UserError(
            f"{where} is {header.width}x{header.height}",
            rule="training images must be square",
            fix=f"Omit experiment= to have them converted, or crop them: {command}",
        )
    if not (is_power_of_two(header.width) and MIN_RESOLUTION <= header.width <= MAX_RESOLUTION):
        raise UserError(
            f"{where} is {header.width}x{header.height}",
            rule=f"resolutions must be powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
            fix=f"Omit experiment= to have them converted, or resize them: {command}",
        )
    if resolution not in (None, header.width):
        raise UserError(
            f"resolution={resolution}, but {where} is {header.width}x{header.height}",
            rule="images are used at their stored size",
            fix=f"Omit resolution, set it to {header.width}, or resize the images",
        )


def check_alike(where: str, header: Header, first_where: str, first: Header) -> None:
    """Raises UserError if an image differs from the first in size or channels."""
    if header != first:
        raise UserError(
            f"{where} is {header}, {first_where} is {first}",
            rule="all images of a dataset must have the same size and channels",
            fix="Omit experiment= to have them converted; or remove one of them, or prepare the dataset: "
            f"python -m stylegen prepare source=DIR out=FILE.zip resolution={_side_below(first)}",
        )


def _side_below(header: Header) -> int:
    return min(power_of_two_below(min(header.width, header.height)), PREPARED_PX)


def _open(data: bytes, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # see decode_array
        raise _undecodable(name, error) from error


def _header(image: Image.Image, name: str) -> Header:
    if image.mode not in _CHANNELS:
        raise UserError(
            f"{name} has mode {image.mode}",
            rule="training images must have 8 bits per channel and be gray (L, LA) or RGB (RGB, RGBA)",
            fix="Convert it to RGB or gray",
        )
    if image.width * image.height > MAX_PIXELS:
        raise UserError(
            f"{name} has {image.width}x{image.height} pixels",
            rule=f"at most {MAX_PIXELS // 10**6} megapixels are decoded",
            fix="Resize or remove it",
        )
    return Header(image.width, image.height, _CHANNELS[image.mode])


def _undecodable(name: str, error: Exception) -> UserError:
    reason = "not a PNG, JPEG or WebP image" if isinstance(error, Image.UnidentifiedImageError) else error
    return UserError(
        f"{name} cannot be decoded ({reason})",
        rule="every image must be complete and undamaged",
        fix="Replace or remove it",
    )
