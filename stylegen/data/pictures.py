"""One encoded picture to pixels, for training: as it is stored, or not at all.

Nothing is converted here in passing (a palette, ink colours or 16 bits need a decision, which is the
user's), nothing damaged is filled up, and only the three formats of datasets are ever parsed.
"""

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from stylegen.data.limits import FORMATS, MAX_PIXELS
from stylegen.errors import UserError

if TYPE_CHECKING:  # workers that decode do without torch: it takes longer to load than they have to work
    from torch import Tensor

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


class Header(NamedTuple):
    """What a file says of its picture: width and height in pixels, 1 to 4 channels."""

    width: int
    height: int
    channels: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height} with {self.channels} channel{'s' * (self.channels > 1)}"


def read_header(data: bytes, name: str) -> Header:
    """Size and channels of an encoded picture; `name` stands in errors.

    Raises:
        UserError: not a PNG, JPEG or WebP file; a mode other than grey, RGB, each with or without alpha;
            more than 64 megapixels.
    """
    with _open(data, name) as picture:
        return _header(picture, name)


def decode(data: bytes, name: str) -> "Tensor":
    """`decode_array` as a tensor."""
    import torch

    return torch.from_numpy(decode_array(data, name))


def decode_array(data: bytes, name: str) -> np.ndarray:
    """uint8 [channels, height, width], turned upright where the file carries an orientation.

    Raises:
        UserError: as `read_header`, and when the data are damaged or cut short.
    """
    with _open(data, name) as picture:
        _header(picture, name)
        try:
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
        except Exception as error:  # damaged bytes make the parsers raise nearly anything
            raise _undecodable(name, error) from error
        array = np.array(picture)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy()


def _open(data: bytes, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # see decode
        raise _undecodable(name, error) from error


def _header(picture: Image.Image, name: str) -> Header:
    if picture.mode not in _CHANNELS:
        raise UserError(
            f"{name} has mode {picture.mode}",
            rule="training pictures have 8 bits a channel and are grey (L, LA) or RGB (RGB, RGBA)",
            fix="Convert it to RGB or grey",
        )
    if picture.width * picture.height > MAX_PIXELS:
        raise UserError(
            f"{name} has {picture.width}x{picture.height} pixels",
            rule=f"at most {MAX_PIXELS // 10**6} megapixels are decoded",
            fix="Make it smaller or remove it",
        )
    return Header(picture.width, picture.height, _CHANNELS[picture.mode])


def _undecodable(name: str, error: Exception) -> UserError:
    reason = "not a PNG, JPEG or WebP picture" if isinstance(error, Image.UnidentifiedImageError) else error
    return UserError(
        f"{name} cannot be decoded ({reason})",
        rule="every picture of a dataset is complete and undamaged",
        fix="Replace or remove it",
    )
