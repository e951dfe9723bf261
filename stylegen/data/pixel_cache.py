"""The decoded cache: all pixels of a dataset as one array on disk, shared by any number of processes.

`NAME.pixels.npy` is a NumPy file, uint8 [N, C, H, W], beside the dataset or in the cache folder; `NAME.pixels.json`
records its origin. Decoding a PNG of 1024 px takes several hundred times as long as copying its pixels. Imports no
torch until images are read, so that its workers start fast.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylegen.data.decoding import Header, check_alike, decode_array, location
from stylegen.data.metadata import image_digest, stored_digests
from stylegen.data.pool import ordered_map
from stylegen.data.sources.source import Source
from stylegen.errors import DamagedFile, UserError
from stylegen.files import cache_folder, exclusive, parse_json, replacing, write_text
from stylegen.progress import show_progress

if TYPE_CHECKING:
    from torch import Tensor


class DecodedPixels:
    """An open cache; pickles as its path.

    Each process verifies the digest of an image when it first reads it (5 ms per image at 1024 px): hashing 20 GB on
    opening would take longer than a short training run.

    Args:
        path: the .npy file.
        digests: `image_digest` of each image.
    """

    def __init__(self, path: Path, digests: list[str]) -> None:
        self.path, self.digests = path, digests
        self._array: np.ndarray | None = None
        self._verified = bytearray(len(digests))

    def gather(self, numbers: Sequence[int]) -> "Tensor":
        """uint8 [N, C, H, W]: copies of these images.

        Raises:
            DamagedFile: an image does not match its digest.
        """
        import torch

        if self._array is None:
            self._array = np.load(self.path, mmap_mode="r")
        pixels = torch.empty((len(numbers), *self._array.shape[1:]), dtype=torch.uint8)
        target = pixels.numpy()
        for row, number in enumerate(numbers):
            target[row] = self._array[number]
            if not self._verified[number]:
                if image_digest(target[row]) != self.digests[number]:
                    raise _damaged(self.path, f"its image {number} is not the one that was decoded")
                self._verified[number] = 1
        return pixels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None, "_verified": bytearray(len(self.digests))}


def find_place(source: Source, count: int, header: Header) -> Path | None:
    """Path of the cache, existing or new: beside the dataset, or else in the cache folder; None without free space."""
    absolute = os.path.realpath(source.path)
    name = f"{source.path.name or Path(absolute).name}.pixels.npy"
    tag = hashlib.blake2b(os.fsencode(absolute), digest_size=6).hexdigest()
    places = [Path(absolute).with_name(name), cache_folder() / "decoded" / f"{tag}-{name}"]
    for place in places:
        if place.with_suffix(".json").is_file():
            return place
    for place in places:
        existing = next(parent for parent in place.parents if parent.exists())
        if os.access(existing, os.W_OK) and shutil.disk_usage(existing).free > count * header.num_bytes * 1.02:
            return place
    return None


def no_room(source: Source, count: int, header: Header) -> UserError:
    """The error for a cache that does not fit on any disk."""
    return UserError(
        f"data.cache=memmap for {source.path}",
        rule=f"the decoded pixels need {count * header.num_bytes / 2**30:.1f} GiB beside the dataset or in "
        f"{cache_folder()}, more than is free",
        fix="Free some space, set STYLEGEN_CACHE to a larger disk, or use data.cache=off",
    )


def open_decoded(source: Source, header: Header, place: Path, processes: int | None = None) -> DecodedPixels:
    """Open the cache at `place`; build it if it does not exist, or wait while another process builds it.

    Args:
        header: header of the first image; all others must equal it.
        processes: number of decoding processes; by default one for each core.

    Raises:
        UserError: a cache of other images; an image that cannot be decoded or differs from the first.
        DamagedFile: the cache is damaged.
    """
    shape = (len(source.keys()), header.channels, header.height, header.width)
    with exclusive(place, wait=True):
        if not place.with_suffix(".json").is_file():
            _build(source, header, place, shape, processes)
    return _open(source, place, shape)


def _open(source: Source, place: Path, shape: tuple[int, ...]) -> DecodedPixels:
    try:
        note = parse_json(place.with_suffix(".json").read_text(encoding="utf-8"))
        array = np.load(place, mmap_mode="r")
        fits = array.shape == shape and array.dtype == np.uint8
        digests = stored_digests(note, len(array))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _mismatch(source, place, f"cannot be read ({error})") from error
    if digests is None or note.pop("sha256", None) != _note_hash(note):
        raise _damaged(place, f"{place.with_suffix('.json').name} does not match its SHA-256")
    if note.get("stamp") != source.stamp() or not fits:
        raise _mismatch(source, place, "was made from other images")
    return DecodedPixels(place, digests)


def _note_hash(note: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(note, sort_keys=True).encode()).hexdigest()


def _damaged(place: Path, problem: str) -> DamagedFile:
    return DamagedFile(f"the decoded cache {place} is damaged", rule=problem, fix=_rebuild(place))


def _mismatch(source: Source, place: Path, problem: str) -> UserError:
    return UserError(
        f"the decoded cache {place} {problem}",
        rule=f"it must match the current images of {source.path}",
        fix=_rebuild(place),
    )


def _rebuild(place: Path) -> str:
    return f"Remove it and {place.with_suffix('.json').name} to have it rebuilt, or use data.cache=off"


def _build(source: Source, header: Header, place: Path, shape: tuple[int, ...], processes: int | None) -> None:
    stamp, keys = source.stamp(), source.keys()
    try:
        # Sync first: after a power failure the note must not vouch for unwritten pixels.
        with replacing(place, durable=True, locked=True) as partial:
            np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            _reserve(partial)
            source.close()
            results = ordered_map(_Fill(source, partial, header, keys[0]), list(enumerate(keys)), processes)
            digests = list(show_progress(results, "decoding", len(keys)))
        note = {"dataset": source.path.name, "stamp": stamp, "shape": list(shape), "digests": digests}
        # Last, because this file marks the cache as complete.
        write_text(place.with_suffix(".json"), json.dumps(note | {"sha256": _note_hash(note)}))
    except OSError as error:
        raise UserError(
            f"the decoded cache {place} cannot be written ({error.strerror})",
            rule="it is beside the dataset or in the cache folder",
            fix="Free some space, set STYLEGEN_CACHE to another disk, or use data.cache=off",
        ) from error


def _reserve(path: Path) -> None:
    """Allocates the file on disk: writing to a mapped hole on a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class _Fill:
    """Job of the workers: decodes image `number` into its row and returns its digest."""

    def __init__(self, source: Source, path: Path, header: Header, first: str) -> None:
        self.source, self.path, self.header, self.first = source, path, header, first
        self._array: np.ndarray | None = None

    def __call__(self, item: tuple[int, str]) -> str:
        number, key = item
        where = location(self.source, key)
        image = decode_array(self.source.read(key), where)
        check_alike(where, Header.of(image.shape), location(self.source, self.first), self.header)
        if self._array is None:
            self._array = np.lib.format.open_memmap(self.path, mode="r+")
        self._array[number] = image
        return image_digest(image)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}
