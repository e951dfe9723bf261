"""Every single flipped bit in decoded caches and unfinished datasets is detected, or has no effect."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.spool import Spool
from stylegen.errors import UserError
from tests.support.datasets import encode, write_archive

FILES = {f"{i:02d}.png": encode(i) for i in range(12)}


def flipped(good: bytes, count: int) -> Iterator[bytes]:
    rng = random.Random(0)
    for _ in range(count):
        bad, place = bytearray(good), rng.randrange(8 * len(good))
        bad[place // 8] ^= 1 << place % 8
        yield bytes(bad)


@pytest.mark.parametrize("name", ["data.zip.pixels.npy", "data.zip.pixels.json"])
def test_every_flipped_bit_of_a_decoded_cache(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "data.zip", FILES)
    whole = ImageDataset(path, cache="memmap")
    pixels, fingerprint, noticed = whole.batch(range(12))[0], whole.fingerprint, 0
    good = (tmp_path / name).read_bytes()
    for bad in flipped(good, 200):
        (tmp_path / name).write_bytes(bad)
        try:
            found = ImageDataset(path, cache="memmap")
            assert torch.equal(found.batch(range(12))[0], pixels)
            assert found.fingerprint == fingerprint
        except UserError:
            noticed += 1
    assert noticed >= 190  # some bits of the .npy header and of the hash's name have no effect


def test_a_decoded_cache_without_a_hash_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "data.zip", FILES)
    ImageDataset(path, cache="memmap")
    note = tmp_path / "data.zip.pixels.json"
    fields = json.loads(note.read_text())
    del fields["sha256"]
    note.write_text(json.dumps(fields))
    with pytest.raises(UserError, match="does not match its SHA-256"):
        ImageDataset(path, cache="memmap")


def test_damage_after_opening_is_noticed(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "data.zip", FILES)
    found = ImageDataset(path, cache="memmap")
    array = tmp_path / "data.zip.pixels.npy"
    array.write_bytes(array.read_bytes()[:-5] + bytes(5))
    found.batch(range(11))
    with pytest.raises(UserError, match="its image 11 is not the one that was decoded"):
        found.batch([11])


def spool(out: Path) -> Spool:
    return Spool(out, "identity")


@pytest.mark.parametrize("name", [".out.zip.journal", ".out.zip.partial"])
def test_every_flipped_bit_of_an_unfinished_dataset(tmp_path: Path, name: str) -> None:
    """A restart keeps a prefix of the finished entries, unchanged: digests, names, sizes, reasons and bytes."""
    out = tmp_path / "out.zip"
    unfinished = spool(out)
    for number, data in enumerate(FILES.values()):
        if number % 4 == 3:
            unfinished.leave_out("an empty file")
        else:
            unfinished.add(Recipe()(data))
    entries, images = unfinished.entries, list(unfinished.images())
    unfinished.close()
    files = {p.name: p.read_bytes() for p in (unfinished.path, unfinished.journal)}
    for bad in flipped(files[name], 260):
        for other, good in files.items():
            (tmp_path / other).write_bytes(bad if other == name else good)
        again = spool(out)
        assert again.entries == entries[: len(again.entries)]
        assert list(again.images()) == images[: len(again.kept)]
        again.close()
    for other, good in files.items():
        (tmp_path / other).write_bytes(good)
    again = spool(out)
    assert again.entries == entries
    again.close()
