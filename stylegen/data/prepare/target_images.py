"""Images to project: any images, converted as the training images were."""

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegen.data.prepare.image_conversion import Recipe, UnusableError
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES
from stylegen.errors import UserError


def target_images(
    path: str, resolution: int, channels: int, prepared: Mapping[str, Any], limit: int, setting: str = "images"
) -> list[tuple[str, Tensor]]:
    """Distinct file names without suffix, and images, float [C, H, W] in [-1, 1].

    Args:
        path: an image, or a folder or archive of images.
        resolution, channels: of the generator.
        prepared: how the training images were converted, as in their dataset.json: crop, filter, background.
        limit: maximum number of images; the first ones are taken.
        setting: with the path, for error messages.

    Raises:
        UserError: no image, or one that cannot be converted.
    """
    found = list(
        converted(itertools.islice(_encoded(path, setting), limit), resolution, channels, prepared, f"{setting}={path}")
    )
    if not found:
        raise UserError(
            f"{setting}={path}", rule="it holds no image", fix="Use a PNG, JPEG, WebP, TIFF, GIF or BMP file"
        )
    return list(zip(distinct([name for name, _ in found]), [image for _, image in found], strict=True))


def converted(
    encoded: Iterable[tuple[str, bytes]], resolution: int, channels: int, prepared: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Tensor]]:
    """Names and images of encoded files, as in `target_images`; `where` they are, for error messages."""
    kept = {key: prepared[key] for key in ("crop", "filter", "background") if isinstance(prepared.get(key), str)}
    recipe = Recipe(resolution, channels="gray" if channels == 1 else "rgb", **kept)
    for name, data in encoded:
        try:
            png = recipe(data).png
        except UnusableError as error:
            raise UserError(f"{where}: {name}", rule=str(error), fix="Convert it, or leave it out") from error
        with Image.open(io.BytesIO(png)) as image:
            pixels = torch.from_numpy(np.array(image)).float().div(127.5).sub(1)
        yield name, pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def _encoded(path: str, setting: str) -> Iterator[tuple[str, bytes]]:
    file = Path(path).expanduser()
    if file.is_file() and file.suffix.lower() in CONVERTIBLE_SUFFIXES:
        yield file.name, file.read_bytes()
        return
    source = open_source(file, setting, CONVERTIBLE_SUFFIXES)
    for key in source.keys():  # noqa: SIM118
        yield key, source.read(key)


def distinct(names: Sequence[str]) -> Iterator[str]:
    """Names as file names: without folders and suffix, made distinct by a number."""
    seen: dict[str, int] = {}
    for name in names:
        stem = Path(name).stem
        seen[stem] = seen.get(stem, 0) + 1
        yield stem if seen[stem] == 1 else f"{stem}_{seen[stem]}"
