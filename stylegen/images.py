"""Pictures in and out: the one place that converts float <-> uint8, lays out grids and writes PNGs.

Inside stylegen an image is float NCHW in [-1, 1]; outside (files, metrics, viewers) it is uint8 NCHW in
[0, 255].
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stylegen.files import replacing

CAPTION_PX = 24
MAX_FIGURE_PIXELS = 2**28  # a figure is built in memory


def to_float(images: Tensor) -> Tensor:
    """uint8 [0, 255] -> float32 [-1, 1]: x / 127.5 - 1."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """float [-1, 1] -> uint8: floor(127.5 x + 128) in [0, 255], as the official FID protocol quantises."""
    return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def make_grid(images: Tensor, columns: int, padding: int = 2, background: int = 255) -> Tensor:
    """uint8 NCHW -> one uint8 CHW picture, row by row, `padding` pixels of `background` between cells."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    canvas = images.new_full(
        (channels, rows * (height + padding) - padding, columns * (width + padding) - padding),
        background,
    )
    for i, image in enumerate(images):
        top, left = i // columns * (height + padding), i % columns * (width + padding)
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def to_pil(image: Tensor) -> Image.Image:
    """uint8 CHW with 1 to 4 channels -> Pillow image of mode L, LA, RGB or RGBA."""
    array = image.cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def from_pil(image: Image.Image) -> Tensor:
    """Pillow image of mode L, LA, RGB or RGBA -> uint8 CHW."""
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def write_png(path: Path, image: Tensor, scale: int = 1, caption: str = "") -> None:
    """Write one uint8 CHW picture, each pixel `scale` x `scale` large; appears whole or not at all.

    Args:
        caption: a line of text below the picture.
    """
    picture = to_pil(image)
    if scale > 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    if caption:
        picture = _captioned(picture, caption)
    try:
        with replacing(path) as partial:
            picture.save(partial, format="PNG")
    except OSError as error:  # a full disk has no file's name in its error
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _captioned(picture: Image.Image, text: str) -> Image.Image:
    canvas = Image.new("RGB", (picture.width, picture.height + CAPTION_PX), "white")
    canvas.paste(picture, (0, 0))
    font = ImageFont.load_default(CAPTION_PX * 0.7)
    ImageDraw.Draw(canvas).text((4, picture.height + CAPTION_PX / 2), text, "black", font, anchor="lm")
    return canvas
