"""The decoded cache: all pixels of a dataset as one array on disk, from which any number of processes read.

`NAME.pixels.npy` is an ordinary NumPy file, uint8 [N, C, H, W], beside the dataset or in the cache folder;
`NAME.pixels.json` says what it was made from. Decoding a PNG of 1024 pixels costs several hundred times as much as
copying it from there. Imports no torch until it is read, for the sake of its workers.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylegen.data.consistency import check_alike, place_of
from stylegen.data.fingerprint import picture_digest
from stylegen.data.pictures import Header, decode_array
from stylegen.data.prepare.metadata import stored_digests
from stylegen.data.prepare.pool import ordered_map
from stylegen.data.sources.source import Source
from stylegen.errors import DamagedFile, UserError
from stylegen.files import cache_folder, exclusive, parse_json, replacing, write_text
from stylegen.progress import show_progress

if TYPE_CHECKING:
    from torch import Tensor


class DecodedPixels:
    """An open cache; pickles as its path.

    A picture is compared with its digest when it is first read, in each process: to read 20 GB only to open them would
    take longer than to train on some of them. At 1024 px this takes 5 ms a picture, once.

    Args:
        path: the .npy file.
        digests: of each picture, see `stylegen.data.fingerprint`.
    """

    def __init__(self, path: Path, digests: list[str]) -> None:
        self.path, self.digests = path, digests
        self._array: np.ndarray | None = None
        self._verified = bytearray(len(digests))

    def gather(self, numbers: Sequence[int]) -> "Tensor":
        """uint8 [N, C, H, W]: copies of these pictures.

        Raises:
            DamagedFile: a picture is not the one that was decoded.
        """
        import torch

        if self._array is None:
            self._array = np.load(self.path, mmap_mode="r")
        pixels = torch.empty((len(numbers), *self._array.shape[1:]), dtype=torch.uint8)
        target = pixels.numpy()
        for row, number in enumerate(numbers):
            target[row] = self._array[number]
            if not self._verified[number]:
                if picture_digest(target[row]) != self.digests[number]:
                    raise _damaged(self.path, f"its image {number} is not the one that was decoded")
                self._verified[number] = 1
        return pixels

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None, "_verified": bytearray(len(self.digests))}


def find_place(source: Source, count: int, header: Header) -> Path | None:
    """Where the cache of this dataset lies, or would: beside it, or else in the cache folder; None without room."""
    absolute = os.path.realpath(source.path)
    name = f"{source.path.name or Path(absolute).name}.pixels.npy"
    tag = hashlib.blake2b(os.fsencode(absolute), digest_size=6).hexdigest()
    places = [Path(absolute).with_name(name), cache_folder() / "decoded" / f"{tag}-{name}"]
    for place in places:
        if place.with_suffix(".json").is_file():
            return place
    needed = count * header.channels * header.height * header.width
    for place in places:
        existing = next(parent for parent in place.parents if parent.exists())
        if os.access(existing, os.W_OK) and shutil.disk_usage(existing).free > needed * 1.02:
            return place
    return None


def no_room(source: Source, count: int, header: Header) -> UserError:
    """The error for a cache that fits nowhere."""
    needed = count * header.channels * header.height * header.width / 2**30
    return UserError(
        f"data.cache=memmap for {source.path}",
        rule=f"the decoded pixels take {needed:.1f} GiB beside the dataset or in {cache_folder()}, which are not free",
        fix="Free them, set STYLEGEN_CACHE to a larger disk, or use data.cache=off",
    )


def open_decoded(source: Source, header: Header, place: Path, processes: int | None = None) -> DecodedPixels:
    """The cache at `place`, built first if it is not there; another process that builds it is waited for.

    Args:
        header: of the first picture, which all others equal.
        processes: that decode; by default one for each core.

    Raises:
        UserError: a cache that was made from something else; a picture that cannot be decoded or differs.
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
        sound = array.shape == shape and array.dtype == np.uint8
        digests = stored_digests(note, len(array))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _mismatch(source, place, f"cannot be read ({error})") from error
    if digests is None or note.pop("sha256", None) not in (None, _note_hash(note)):  # older ones have no hash
        raise _damaged(place, "its note does not match its SHA-256")
    if note.get("stamp") != source.stamp() or not sound:
        raise _mismatch(source, place, "was made from other pictures")
    return DecodedPixels(place, digests)


def _note_hash(note: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(note, sort_keys=True).encode()).hexdigest()


def _damaged(place: Path, problem: str) -> DamagedFile:
    return DamagedFile(
        f"the decoded cache {place} is damaged",
        rule=problem,
        fix=f"Remove it and {place.with_suffix('.json').name}, and it is built again; or use data.cache=off",
    )


def _mismatch(source: Source, place: Path, problem: str) -> UserError:
    return UserError(
        f"the decoded cache {place} {problem}",
        rule=f"it holds what {source.path} holds now",
        fix=f"Remove it and {place.with_suffix('.json').name}, and it is built again; or use data.cache=off",
    )


def _build(source: Source, header: Header, place: Path, shape: tuple[int, ...], processes: int | None) -> None:
    stamp, keys = source.stamp(), source.keys()
    try:
        # Durable: a power failure must not leave zeros beside a note that vouches for them.
        with replacing(place, durable=True, locked=True) as partial:
            np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            _reserve(partial)
            source.close()
            results = ordered_map(_Fill(source, partial, header, keys[0]), list(enumerate(keys)), processes)
            digests = list(show_progress(results, "decoding", len(keys)))
        note = {"dataset": source.path.name, "stamp": stamp, "shape": list(shape), "digests": digests}
        write_text(
            place.with_suffix(".json"), json.dumps(note | {"sha256": _note_hash(note)})
        )  # last: marks it complete
    except OSError as error:
        raise UserError(
            f"the decoded cache {place} cannot be written ({error.strerror})",
            rule="it lies beside the dataset or in the cache folder",
            fix="Free some room, set STYLEGEN_CACHE to another disk, or use data.cache=off",
        ) from error


def _reserve(path: Path) -> None:
    """Claim the room now: to write into a mapped hole on a full disk kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class _Fill:
    """Decodes picture `number` into its row; runs in the workers."""

    def __init__(self, source: Source, path: Path, header: Header, first: str) -> None:
        self.source, self.path, self.header, self.first = source, path, header, first
        self._array: np.ndarray | None = None

    def __call__(self, item: tuple[int, str]) -> str:
        number, key = item
        where = place_of(self.source, key)
        picture = decode_array(self.source.read(key), where)
        channels, height, width = picture.shape
        check_alike(where, Header(width, height, channels), place_of(self.source, self.first), self.header)
        if self._array is None:
            self._array = np.lib.format.open_memmap(self.path, mode="r+")
        self._array[number] = picture
        return picture_digest(picture)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}
