"""Any picture that people have -> a square PNG for training, or the reason why not. Imports no torch.

Here the decisions are made that `pictures.py` refuses to make in passing: ink colours, palettes, 16 bits, alpha,
orientation, cropping and resizing. Colour profiles are not applied.
"""

import io
import warnings
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageColor

from stylegen.bounds import Quoted, Range
from stylegen.data.fingerprint import picture_digest
from stylegen.data.limits import CONVERTIBLE_FORMATS, MAX_PIXELS
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
    """Why a picture is left out, in a few words."""


class Converted(NamedTuple):
    """A picture of the dataset: its PNG, CRC-32 and digest (see `fingerprint`), its side in pixels, and whether
    its pixels had to be enlarged."""

    png: bytes
    crc: int
    digest: str
    side: int
    enlarged: bool


@dataclass(frozen=True)
class Recipe:
    """What is done with each picture; the defaults of `prepare` are here.

    Args:
        resolution: side of the result in pixels, a power of two from 8 to 2048; null keeps the size that the
            crop gives.
        crop: "center", the largest square in the middle; "center-wide", the largest 4:3 rectangle in the middle
            with black bars above and below (LSUN cars); "pad", the whole picture with bars of `background`; "none",
            only squares are taken.
        filter: "box" (the mean of the area), "lanczos" or "bicubic", all of them with antialiasing.
        channels: "rgb", "gray" (luma by ITU-R BT.601) or "rgba".
        background: colour under transparent pixels, unless channels=rgba, and of bars; a name or "#rrggbb".
        min_size: pictures whose shorter side has fewer pixels are left out.

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
                rule=f"resolutions are powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
                fix="Use 64, 128, 256, 512 or 1024",
            )
        if self.min_size < 0:
            raise UserError(f"min_size={self.min_size}", rule="it is a number of pixels from 0", fix="Leave it out")
        try:
            ImageColor.getcolor(self.background, "RGB")
        except ValueError as error:
            raise UserError(
                f"background={self.background}",
                rule="a colour is a name of HTML's or #rrggbb",
                fix="Use white, black or #808080",
            ) from error

    def __call__(self, data: bytes) -> Converted:
        """Convert one encoded picture.

        Raises:
            UnusableError: with the reason.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd, but readable notes in the file
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                return self._convert(data)
        except UnusableError:
            raise
        except Image.UnidentifiedImageError as error:
            raise UnusableError(_unidentified(data)) from error
        except Exception as error:  # damaged bytes make the parsers raise nearly anything
            raise UnusableError(f"cannot be decoded: {error or type(error).__name__}") from error

    def _convert(self, data: bytes) -> Converted:
        with Image.open(io.BytesIO(data), formats=CONVERTIBLE_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise UnusableError(f"{size} pixels are more than {MAX_PIXELS // 10**6} megapixels")
            if picture.format == "TIFF" and picture.mode in ("I", "F"):
                raise UnusableError("32 bits a channel have no range that is known")
            picture.load()  # the first frame of an animation, the first page of a TIFF
            return self._finish(_upright(picture))

    def _finish(self, upright: Image.Image) -> Converted:
        if min(upright.size) < self.min_size:
            raise UnusableError(f"{upright.width}x{upright.height} is below min_size={self.min_size}")
        box = self._box(upright.size)
        cropped = upright if box == (0, 0, *upright.size) else upright.crop(box)
        result, enlarged = self._fit(self._colours(_eight_bits(cropped)))
        if not _fits(result.width):
            rule = f"no power of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}"
            raise UnusableError(f"a side of {result.width} pixels is {rule}, and no resolution is given")
        array = np.asarray(result)
        png = _encode(array)
        chw = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        return Converted(png, zlib.crc32(png), picture_digest(chw), result.width, enlarged)

    def _box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """What the crop leaves: left, upper, right, lower."""
        width, height = size
        if self.crop == "none" and width != height:
            raise UnusableError(f"{width}x{height} is not square, and crop=none")
        if self.crop == "center":
            width = height = min(size)
        elif self.crop == "center-wide":
            width, height = min(width, round(height * 4 / 3)), min(height, round(width * 3 / 4))
        left, upper = (size[0] - width) // 2, (size[1] - height) // 2
        return left, upper, left + width, upper + height

    def _colours(self, picture: Image.Image) -> Image.Image:
        """The channels asked for; what lies under transparent pixels never shows."""
        if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBa"):
            picture = picture.convert("RGBA")
        if picture.mode == "RGBA" and self.channels != "rgba":
            ground = Image.new("RGBA", picture.size, self.background)
            picture = Image.alpha_composite(ground, picture).convert("RGB")
        elif picture.mode not in ("L", "RGB", "RGBA"):
            picture = picture.convert("RGB")
        mode = CHANNELS[self.channels]
        return picture if picture.mode == mode else picture.convert(mode)

    def _fit(self, picture: Image.Image) -> tuple[Image.Image, bool]:
        """At the resolution, and on a square; whether the pixels were enlarged."""
        longer = max(picture.size)
        side = self.resolution or longer
        size = tuple(max(1, round(length * side / longer)) for length in picture.size)
        if picture.size != size:
            picture = picture.resize((size[0], size[1]), FILTERS[self.filter])
        if size != (side, side):
            colour = "black" if self.crop == "center-wide" else self.background
            square = Image.new(picture.mode, (side, side), colour)
            square.paste(picture, ((side - size[0]) // 2, (side - size[1]) // 2))
            picture = square
        return picture, side > longer


NOT_READ = "only PNG, JPEG, WebP, TIFF, GIF and BMP are read"
HEIC_NOT_READ = "HEIC is not read: convert it to JPEG or PNG first"


def why_not_read(name: str) -> str:
    """The reason for which a file with this name is left out unread."""
    return HEIC_NOT_READ if name.lower().endswith((".heic", ".heif")) else NOT_READ


def _unidentified(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return HEIC_NOT_READ  # whatever it is called
    return "no PNG, JPEG, WebP, TIFF, GIF or BMP"


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as the file notes. `ImageOps.exif_transpose` would copy what needs no turning, and rewrite the notes,
    which fails on odd ones."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # notes that cannot be read do not spoil good pixels
        return picture
    return picture if turn is None else picture.transpose(turn)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits by its high byte, as Pillow reads 16-bit colour; `convert` would clip at 255."""
    if not picture.mode.startswith("I"):
        return picture
    high = np.asarray(picture) >> 8
    return Image.fromarray(high.clip(0, 255).astype(np.uint8))


def _encode(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")  # a fresh picture: no notes, profiles or thumbnails
    return buffer.getvalue()


def _fits(side: int) -> bool:
    return is_power_of_two(side) and MIN_RESOLUTION <= side <= MAX_RESOLUTION
