"""Images to project: any images, converted as the training images were."""

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegen.data.prepare.face_alignment import Face
from stylegen.data.prepare.image_conversion import Recipe, UnusableError, why_not_read
from stylegen.data.prepare.landmarks import read_landmarks
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES, MAX_IMAGE_BYTES
from stylegen.errors import UserError
from stylegen.files import unreadable
from stylegen.images import to_float

_CHANNELS = {1: "gray", 3: "rgb"}
_LARGEST = 1.5  # magnitude of a float pixel; a generator's own images exceed 1 a little
_ARCHIVES = (".zip", ".lmdb", ".parquet")
_LONGEST = 60  # characters of a file name, at most four bytes each


def target_images(
    path: str | Path, recipe: Recipe, limit: int | None = None, align: str | None = None, setting: str = "images"
) -> list[tuple[str, Tensor]]:
    """Keys and images, float [C, H, W] in [-1, 1]; the first `limit` images, or all.

    Args:
        path: an image, or a folder or archive of images.
        recipe: see `target_recipe`.
        align: a .csv file of landmarks, see `read_landmarks`.
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: no image, or one that cannot be converted or has no landmarks; a bad file of landmarks.
    """
    with contextlib.closing(_Collection(Path(path).expanduser(), setting)) as images:
        keys = images.keys[:limit]
        faces = None if align is None else read_landmarks(align, set(images.keys), others=images.source is None)
        missing = next((key for key in keys if faces is not None and key not in faces), None)
        if missing is not None:
            raise UserError(
                f"align={align} has no line for {missing}", rule="each image must have landmarks", fix="Add it"
            )
        encoded = ((key, images.read(key)) for key in keys)
        return list(converted(encoded, recipe, f"{setting}={path}", faces))


def converted(
    encoded: Iterable[tuple[str, bytes]], recipe: Recipe, where: str, faces: Mapping[str, Face] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Names and images of encoded files, as in `target_images`; `where` they are, for error messages."""
    for key, data in encoded:
        try:
            yield key, target_image(data, recipe, None if faces is None else faces[key])
        except UnusableError as error:
            raise UserError(f"{where}: {key}", rule=str(error), fix="Convert or remove it") from error


def target_recipe(resolution: int, channels: int, prepared: Any, crop: str | None = None) -> Recipe:
    """The conversion for a generator.

    Args:
        resolution, channels: size of the generator's images.
        prepared: conversion of its training images, as in their dataset.json: crop, filter, background.
        crop: replaces the one in `prepared`.

    Raises:
        UserError: a generator of other than gray or RGB images.
    """
    if channels not in _CHANNELS:
        raise UserError(
            f"a generator of images with {channels} channels",
            rule="only gray and RGB images can be projected",
            fix="Use the snapshot of a network with 1 or 3 channels",
        )
    known = prepared if isinstance(prepared, Mapping) else {}
    kept = {key: known[key] for key in ("crop", "filter", "background") if isinstance(known.get(key), str)}
    return Recipe(resolution, channels=_CHANNELS[channels], **kept | ({"crop": crop} if crop else {}))


def target_image(image: bytes | Image.Image, recipe: Recipe, face: Face | None = None) -> Tensor:
    """An encoded or decoded image -> float [C, H, W] in [-1, 1].

    Raises:
        UnusableError: with the reason.
    """
    with Image.open(io.BytesIO(recipe(image, face).png)) as converted:
        pixels = torch.from_numpy(np.array(converted)).float().div(127.5).sub(1)
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def any_targets(images: str | Path | Image.Image | Tensor, recipe: Recipe) -> Tensor:
    """Images of a path, a Pillow image, or a tensor of the size of the result -> float [N, C, H, W] in [-1, 1].

    Raises:
        UserError: see `target_images`; a tensor of another shape, type or range.
    """
    if isinstance(images, Tensor):
        return _checked(images, 1 if recipe.channels == "gray" else 3, recipe.resolution or 0)
    if not isinstance(images, Image.Image):
        return torch.stack([image for _, image in target_images(images, recipe)])
    try:
        return target_image(images, recipe)[None]
    except UnusableError as error:
        raise UserError("images=a Pillow image", rule=str(error), fix="Convert it to RGB") from error


def _checked(images: Tensor, channels: int, side: int) -> Tensor:
    shape = (channels, side, side)
    if images.ndim != 4 or not len(images) or images.shape[1:] != shape:
        raise UserError(
            f"images of shape {list(images.shape)}",
            rule=f"a tensor must be [N, {', '.join(map(str, shape))}], as this network's images",
            fix="Use a path or a Pillow image, which are cropped and resized",
        )
    images = images.detach().as_subclass(Tensor)
    if images.dtype == torch.uint8:
        return to_float(images)
    if not images.is_floating_point() or not bool((images.abs() <= _LARGEST).all()):  # also rejects NaN
        raise UserError(
            f"images of {images.dtype}, {images.min().item():g} to {images.max().item():g}",
            rule="a tensor must be uint8 in [0, 255], or floating-point in [-1, 1]",
            fix="Use images / 127.5 - 1",
        )
    return images


class _Collection:
    """The images of a file, folder or archive; `source` is None for a file."""

    def __init__(self, path: Path, setting: str) -> None:
        self.path, self.setting, self.source = path, setting, None
        if not path.exists():
            raise UserError(
                f"{setting}={path} does not exist",
                rule="must be an image, a folder of images, or an archive",
                fix=f"Use {setting}= with an existing path",
            )
        if path.is_file() and path.suffix.lower() not in _ARCHIVES:
            if path.suffix.lower() not in CONVERTIBLE_SUFFIXES:
                raise UserError(f"{setting}={path}", rule=why_not_read(path.name), fix="Convert it to PNG or JPEG")
            self.keys = [path.name]
        else:
            self.source = open_source(path, setting, CONVERTIBLE_SUFFIXES)
            self.keys = self.source.keys()
        if not self.keys:
            raise UserError(
                f"{setting}={path}", rule="it contains no images", fix="Use PNG, JPEG, WebP, TIFF, GIF or BMP files"
            )

    def read(self, key: str) -> bytes:
        """The encoded image."""
        if self.source is not None:
            return self.source.read(key)
        try:
            if (size := self.path.stat().st_size) > MAX_IMAGE_BYTES:
                raise OSError(0, f"{size // 2**20} MiB, more than {MAX_IMAGE_BYTES // 2**20} MiB")
            return self.path.read_bytes()
        except OSError as error:
            raise unreadable(self.setting, self.path, error) from error

    def close(self) -> None:
        """Close open files."""
        if self.source is not None:
            self.source.close()


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> Iterator[str]:
    """Paths as file names without folders and suffix; distinct on file systems that ignore case, too.

    Characters that a file name or a terminal may not take become `_`. A number is added to names that occurred, or are
    in `taken`.
    """
    seen = {name.casefold() for name in taken}
    for name in names:
        stem = re.sub(r'[/\\:*?"<>|]', "_", "".join(c if c.isprintable() else "_" for c in Path(name).stem))[:_LONGEST]
        number, unique = 1, stem
        while unique.casefold() in seen:
            number += 1
            unique = f"{stem}_{number}"
        seen.add(unique.casefold())
        yield unique
