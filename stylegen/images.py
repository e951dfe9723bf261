"""Images: conversion float <-> uint8, grids, and PNG files.

Inside stylegen an image is float NCHW in [-1, 1]; outside (files, metrics, viewers) it is uint8 NCHW in [0, 255].
"""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stylegen.files import replacing

CAPTION_PX = 24
PADDING = 2  # between the images of a grid
MAX_FIGURE_PIXELS = 2**28  # figures are built in memory
_WRITERS = 2  # threads that write PNGs while the network generates the next images
_MAX_WAITING = 64  # images in memory for them


def to_float(images: Tensor) -> Tensor:
    """uint8 [0, 255] -> float32 [-1, 1]: x / 127.5 - 1."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """float [-1, 1] -> uint8: floor(127.5 x + 128) in [0, 255], as in the official FID protocol."""
    return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def make_grid(images: Tensor, columns: int, padding: int = PADDING, background: int = 255) -> Tensor:
    """uint8 NCHW -> uint8 CHW: the images row by row, with `padding` pixels of `background` in between."""
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


def write_png(path: Path, image: Tensor, scale: int = 1, caption: str = "") -> None:
    """Write a uint8 CHW image, atomically, each pixel as a square of `scale` pixels.

    Args:
        caption: a line of text below the image.
    """
    pixels = enlarged(image, scale)
    with replacing(path) as partial:
        save_png(add_caption(pixels, caption) if caption else pixels, partial, path)


def write_pngs(images: Iterable[tuple[Path, Tensor]], scale: int = 1) -> list[Path]:
    """Write uint8 CHW images in threads, while the next ones are generated -> the paths, in order.

    Not atomic, unlike `write_png`: for a folder that is moved as a whole when it is complete.
    """
    paths: list[Path] = []
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_WRITERS) as pool:
        for path, image in images:
            paths.append(path)
            waiting.append(pool.submit(lambda image, path: save_png(enlarged(image, scale), path), image, path))
            if len(waiting) > _MAX_WAITING:
                waiting.popleft().result()
        for future in waiting:
            future.result()
    return paths


def enlarged(image: Tensor, scale: int) -> Image.Image:
    """uint8 CHW -> Pillow image, each pixel as a square of `scale` pixels."""
    pixels = to_pil(image)
    if scale == 1:
        return pixels
    return pixels.resize((pixels.width * scale, pixels.height * scale), Image.Resampling.NEAREST)


def save_png(image: Image.Image, path: Path, named: Path | None = None) -> None:
    """Write `path`, not atomically; errors name the file `named`."""
    try:
        image.save(path, format="PNG")
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(named or path)) from error


def add_caption(image: Image.Image, text: str) -> Image.Image:
    """The image with a line of text below it, as RGB."""
    canvas = Image.new("RGB", (image.width, image.height + CAPTION_PX), "white")
    canvas.paste(image, (0, 0))
    font = ImageFont.load_default(CAPTION_PX * 0.7)
    ImageDraw.Draw(canvas).text((4, image.height + CAPTION_PX / 2), text, "black", font, anchor="lm")
    return canvas
