"""Converts an image of any kind to a square PNG for training, or raises with the reason. Imports no torch.

The conversions that `data/decoding.py` refuses are made here: CMYK, palettes, 16 bits, alpha, orientation, cropping and
resizing. Color profiles are not applied.
"""

import io
import warnings
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageColor

from stylegen.bounds import Quoted, Range
from stylegen.data.decoding import encode_png
from stylegen.data.metadata import image_digest
from stylegen.data.prepare.face_alignment import Face, align_face
from stylegen.data.sources.formats import CONVERTIBLE_FORMATS, MAX_PIXELS
from stylegen.errors import UserError, unknown_choice
from stylegen.spec import MAX_RESOLUTION, MIN_RESOLUTION, is_power_of_two

CROPS = ("center", "center-wide", "pad", "none")
CHANNELS = {"gray": "L", "rgb": "RGB", "rgba": "RGBA"}
FILTERS = {
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
}
_TURNS: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnusableError(Exception):
    """An image is left out; the message is the reason, in a few words."""


class Converted(NamedTuple):
    """An image of the dataset: its PNG, the CRC-32 of the PNG, its `image_digest`, its side in pixels, and whether its
    pixels were enlarged."""

    png: bytes
    crc: int
    digest: str
    side: int
    enlarged: bool


@dataclass(frozen=True)
class Recipe:
    """How each image is converted.

    Args:
        resolution: side of the result in pixels, a power of two from 8 to 2048; null keeps the size of the crop.
        crop: "center", the largest centered square; "center-wide", the largest centered 4:3 rectangle with black bars
            above and below (LSUN cars); "pad", the whole image with bars of `background`; "none", accepts squares only.
        filter: "box" (mean of the area), "lanczos" or "bicubic", all with antialiasing.
        channels: "rgb", "gray" (luma by ITU-R BT.601) or "rgba".
        background: color of bars, and under transparent pixels unless channels=rgba; a name or "#rrggbb".
        min_size: leave out images with a shorter side below this number of pixels.

    Raises:
        UserError: a value outside these.
    """

    resolution: Annotated[int, Range(8, 2048)] | None = None
    crop: str = "center"
    filter: str = "lanczos"
    channels: str = "rgb"
    background: Annotated[str, Quoted()] = "white"
    min_size: Annotated[int, Range(0, 1000000)] = 0

    def __post_init__(self) -> None:
        choices = {"crop": CROPS, "filter": tuple(FILTERS), "channels": tuple(CHANNELS)}
        for setting, known in choices.items():
            if getattr(self, setting) not in known:
                raise unknown_choice(setting, getattr(self, setting), known)
        if self.resolution is not None and not _fits(self.resolution):
            raise UserError(
                f"resolution={self.resolution}",
                rule=f"must be a power of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
                fix="Use 64, 128, 256, 512 or 1024",
            )
        if self.min_size < 0:
            raise UserError(f"min_size={self.min_size}", rule="must be a number of pixels, 0 or more", fix="Omit it")
        try:
            ImageColor.getcolor(self.background, "RGB")
        except ValueError as error:
            raise UserError(
                f"background={self.background}",
                rule="must be an HTML color name or #rrggbb",
                fix="Use white, black or #808080",
            ) from error

    def __call__(self, data: bytes | Image.Image, face: Face | None = None) -> Converted:
        """Convert one image.

        Args:
            data: encoded, or decoded.
            face: its landmarks, for alignment in place of crop and filter; needs a resolution.

        Raises:
            UnusableError: with the reason.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # malformed, but readable metadata
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                return self._convert(data, face)
        except UnusableError:
            raise
        except Image.UnidentifiedImageError as error:
            raise UnusableError(_unidentified(data if isinstance(data, bytes) else b"")) from error
        except Exception as error:  # the parsers raise nearly anything on damaged bytes
            raise UnusableError(f"cannot be decoded: {error or type(error).__name__}") from error

    def _convert(self, data: bytes | Image.Image, face: Face | None) -> Converted:
        if isinstance(data, Image.Image):
            return self._finish(_upright(data), face)
        with Image.open(io.BytesIO(data), formats=CONVERTIBLE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width}x{image.height}"
                raise UnusableError(f"{size} pixels are more than {MAX_PIXELS // 10**6} megapixels")
            if image.format == "TIFF" and image.mode in ("I", "F"):
                raise UnusableError("32 bits per channel have no defined range")
            image.load()  # the first frame of an animation, the first page of a TIFF
            return self._finish(_upright(image), face)

    def _finish(self, upright: Image.Image, face: Face | None) -> Converted:
        if min(upright.size) < self.min_size:
            raise UnusableError(f"{upright.width}x{upright.height} is below min_size={self.min_size}")
        if face is None:
            box = self._box(upright.size)
            cropped = upright if box == (0, 0, *upright.size) else upright.crop(box)
            result, enlarged = self._fit(self._colors(_eight_bits(cropped)))
        else:
            result, enlarged = self._aligned(upright, face)
        if not _fits(result.width):
            rule = f"not a power of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}"
            raise UnusableError(f"a side of {result.width} pixels is {rule}, and no resolution is given")
        array = np.asarray(result)
        png = encode_png(array)  # a new image: no metadata, profiles or thumbnails
        chw = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        return Converted(png, zlib.crc32(png), image_digest(chw), result.width, enlarged)

    def _aligned(self, upright: Image.Image, face: Face) -> tuple[Image.Image, bool]:
        assert self.resolution is not None
        try:
            return align_face(self._colors(_eight_bits(upright)), face, self.resolution)
        except ValueError as error:
            raise UnusableError(str(error)) from error

    def _box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge of the crop."""
        width, height = size
        if self.crop == "none" and width != height:
            raise UnusableError(f"{width}x{height} is not square, and crop=none")
        if self.crop == "center":
            width = height = min(size)
        elif self.crop == "center-wide":
            width, height = min(width, round(height * 4 / 3)), min(height, round(width * 3 / 4))
        left, upper = (size[0] - width) // 2, (size[1] - height) // 2
        return left, upper, left + width, upper + height

    def _colors(self, image: Image.Image) -> Image.Image:
        """Converts to the requested channels; transparent pixels get the background, not their hidden color."""
        if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBa"):
            image = image.convert("RGBA")
        if image.mode == "RGBA" and self.channels != "rgba":
            ground = Image.new("RGBA", image.size, self.background)
            image = Image.alpha_composite(ground, image).convert("RGB")
        elif image.mode not in ("L", "RGB", "RGBA"):
            image = image.convert("RGB")
        mode = CHANNELS[self.channels]
        return image if image.mode == mode else image.convert(mode)

    def _fit(self, image: Image.Image) -> tuple[Image.Image, bool]:
        """Resizes to the resolution and pads to a square; returns whether pixels were enlarged too."""
        longer = max(image.size)
        side = self.resolution or longer
        size = tuple(max(1, round(length * side / longer)) for length in image.size)
        if image.size != size:
            image = image.resize((size[0], size[1]), FILTERS[self.filter])
        if size != (side, side):
            color = "black" if self.crop == "center-wide" else self.background
            square = Image.new(image.mode, (side, side), color)
            square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
            image = square
        return image, side > longer


NOT_READ = "only PNG, JPEG, WebP, TIFF, GIF and BMP are read"
HEIC_NOT_READ = "HEIC is not read: convert it to JPEG or PNG first"


def why_not_read(name: str) -> str:
    """Why a file with this name is left out without reading it."""
    return HEIC_NOT_READ if name.lower().endswith((".heic", ".heif")) else NOT_READ


def _unidentified(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return HEIC_NOT_READ  # with another suffix
    return "not a PNG, JPEG, WebP, TIFF, GIF or BMP"


def _upright(image: Image.Image) -> Image.Image:
    """Applies the EXIF orientation. `ImageOps.exif_transpose` also copies upright images and rewrites the EXIF data,
    which fails on malformed ones."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # unreadable EXIF data beside good pixels
        return image
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Reduces 16-bit gray to its high byte, as Pillow does for 16-bit color; `convert` would clip at 255."""
    if not image.mode.startswith("I"):
        return image
    high = np.asarray(image) >> 8
    return Image.fromarray(high.clip(0, 255).astype(np.uint8))


def _fits(side: int) -> bool:
    return is_power_of_two(side) and MIN_RESOLUTION <= side <= MAX_RESOLUTION
