"""The decoded cache: built once, shared, checked against its dataset, and placed on a disk with free space."""

import json
import pickle
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from stylegen.data import dataset as dataset_module
from stylegen.data import pixel_cache as module
from stylegen.data.dataset import ImageDataset
from stylegen.data.decoding import header_of
from stylegen.data.pixel_cache import open_decoded
from stylegen.data.sources import open_source
from stylegen.errors import UserError
from stylegen.files import cache_folder
from tests.support.datasets import encode, write_archive, write_folder

FILES = {f"{i}.png": encode(i) for i in range(6)}
LABELS = {"labels": [[key, i % 2] for i, key in enumerate(FILES)]}


@pytest.fixture
def disk(monkeypatch):
    """Sets the reported free space."""

    def free(size: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, size))

    return free


def test_contains_the_decoded_pixels_as_a_numpy_file(pack):
    path = pack(FILES)
    plain = ImageDataset(path, cache="off")
    mapped = ImageDataset(path, cache="memmap")
    copy = pickle.loads(pickle.dumps(mapped))
    for ds in (mapped, copy):
        assert torch.equal(ds.batch([5, 0, 0])[0], plain.batch([5, 0, 0])[0])
    assert mapped.fingerprint == plain.fingerprint
    assert len(pickle.dumps(mapped)) < 5000
    place = path.with_name(f"{path.name}.pixels.npy")
    np.testing.assert_array_equal(np.load(place), plain.batch(range(6))[0])
    plain.source.close()


def test_is_read_not_built_again(pack, monkeypatch):
    path = pack(FILES)
    ImageDataset(path, cache="memmap")
    monkeypatch.setattr(module, "_build", None)
    ds = ImageDataset(path, cache="memmap")
    monkeypatch.setattr("stylegen.data.dataset.decode", None)
    assert ds.batch([1])[0].shape == (1, 3, 8, 8)
    assert len(ds.fingerprint) == 32


def test_changed_batches_leave_the_file_alone(pack):
    ds = ImageDataset(pack(FILES), cache="memmap", mirror=True)
    before = ds.batch(range(6))[0].clone()
    ds.batch(range(12))[0].zero_()
    assert torch.equal(ds.batch(range(6))[0], before)


@pytest.mark.parametrize("change", ["image", "pixels", "note", "garbage"])
def test_a_cache_of_something_else_is_refused(tmp_path, change):
    path = write_folder(tmp_path / "data", FILES)
    ImageDataset(path, cache="memmap")
    place = tmp_path / "data.pixels.npy"
    if change == "image":
        (path / "0.png").write_bytes(encode(99))
    elif change == "pixels":
        place.write_bytes(place.read_bytes()[:-1])
    elif change == "note":
        note = json.loads(place.with_suffix(".json").read_text())
        place.with_suffix(".json").write_text(json.dumps({**note, "digests": []}))
    else:
        place.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match=r"data\.pixels\.npy.*Remove it and data\.pixels\.json"):
        ImageDataset(path, cache="memmap")
    assert ImageDataset(path, cache="off").num_images == 6


def test_a_copied_zip_keeps_its_cache(tmp_path):
    path = write_archive(tmp_path / "a.zip", FILES)
    ImageDataset(path, cache="memmap")
    for name in ("a.zip", "a.zip.pixels.npy", "a.zip.pixels.json"):
        (tmp_path / "b").mkdir(exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / "b" / name)
    assert ImageDataset(tmp_path / "b" / "a.zip", cache="memmap").num_images == 6


def test_the_fingerprint_of_a_part_depends_on_its_images(tmp_path):
    whole = ImageDataset(write_folder(tmp_path / "data", FILES, LABELS), classes=["1"], cache="memmap")
    part = {key: data for i, (key, data) in enumerate(FILES.items()) if i % 2}
    note = {"labels": [[key, 1] for key in part]}
    assert whole.fingerprint == ImageDataset(write_folder(tmp_path / "part", part, note)).fingerprint
    assert torch.equal(whole.batch([2])[0], ImageDataset(tmp_path / "data").batch([5])[0])


def test_without_a_writable_folder_the_cache_folder_is_used(tmp_path, monkeypatch):
    path = write_folder(tmp_path / "data", FILES)
    monkeypatch.setattr(module.os, "access", lambda place, mode: tmp_path not in (place, *place.parents))
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path.with_name("cache-elsewhere")))
    ImageDataset(path, cache="memmap")
    assert [p.name.partition("-")[2] for p in (cache_folder() / "decoded").glob("*.npy")] == ["data.pixels.npy"]
    assert not (tmp_path / "data.pixels.npy").exists()
    shutil.rmtree(cache_folder())


def test_free_disk_is_checked_first(tmp_path, disk, monkeypatch):
    path = write_folder(tmp_path / "data", FILES)
    disk(1000)
    with pytest.raises(UserError, match=r"data\.cache=memmap.*GiB.*STYLEGEN_CACHE"):
        ImageDataset(path, cache="memmap")
    monkeypatch.setattr(dataset_module, "MAX_BYTES_IN_MEMORY", 0)
    ds = ImageDataset(path)
    assert "no disk has room" in ds.notices()[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_auto_maps_what_is_too_large_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "MAX_BYTES_IN_MEMORY", 6 * 192)
    path = write_folder(tmp_path / "data", FILES)
    assert ImageDataset(path)._decoded is None
    monkeypatch.setattr(dataset_module, "MAX_BYTES_IN_MEMORY", 6 * 192 - 1)
    assert ImageDataset(path)._decoded is not None


def test_images_that_differ_or_are_broken_leave_nothing(tmp_path):
    path = write_folder(tmp_path / "data", {**FILES, "x.png": encode(1, (16, 16))})
    with pytest.raises(UserError, match=r"x\.png is 16x16.*0\.png is 8x8"):
        ImageDataset(path, cache="memmap")
    (path / "x.png").write_bytes(encode(1)[:-30])
    with pytest.raises(UserError, match=r"x\.png cannot be decoded"):
        ImageDataset(path, cache="memmap")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_several_processes_build_the_same_and_report_errors(tmp_path):
    path = write_folder(tmp_path / "data", FILES)
    source = open_source(path)
    header = header_of(source, "0.png")
    one = open_decoded(source, header, tmp_path / "one.npy", processes=1)
    two = open_decoded(source, header, tmp_path / "two.npy", processes=2)
    assert one.digests == two.digests
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    (path / "5.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"5\.png cannot be decoded"):
        open_decoded(source, header, tmp_path / "three.npy", processes=2)


def test_machines_that_share_a_disk_do_not_share_an_unfinished_file(tmp_path, monkeypatch):
    path = write_folder(tmp_path / "data", FILES)
    names, reserve = [], module._reserve
    monkeypatch.setattr(module, "_reserve", lambda partial: (names.append(partial.name), reserve(partial)))
    for node in ("one", "two"):
        monkeypatch.setattr("stylegen.files.platform.node", lambda node=node: node)
        ImageDataset(path, cache="memmap")
        (tmp_path / "data.pixels.json").unlink()
    assert len(set(names)) == 2


def test_pixels_are_on_the_disk_before_the_note(tmp_path, monkeypatch):
    path = write_folder(tmp_path / "data", FILES)
    synced = []
    monkeypatch.setattr(module.os, "fsync", lambda number: synced.append(sorted(p.name for p in tmp_path.iterdir())))
    ImageDataset(path, cache="memmap")
    assert synced
    assert not any("data.pixels.json" in names for names in synced)


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write_folder(tmp_path / "data", FILES))
    ImageDataset(".", cache="memmap")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "data.pixels.json", "data.pixels.npy"]


BUILD = """
import sys
from pathlib import Path
from stylegen.data import pixel_cache as decoded
from stylegen.data.decoding import header_of
from stylegen.data.sources import open_source
fill = decoded._Fill.__call__
def counted(self, item):
    print("decoded", flush=True)
    return fill(self, item)
decoded._Fill.__call__ = counted
source = open_source(sys.argv[1])
decoded.open_decoded(source, header_of(source, source.keys()[0]), Path(sys.argv[2]))
"""


def test_two_at_once_build_it_once(tmp_path):
    path = write_folder(tmp_path / "data", FILES)
    arguments = [sys.executable, "-c", BUILD, str(path), str(tmp_path / "x.npy")]
    children = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert "".join(outputs).count("decoded") == len(FILES)


def test_reading_beats_decoding_many_times(tmp_path):
    """The documented factor is 20; the test requires half, for busy machines."""
    from stylegen.benchmarks.reading_speed import synthetic_images

    path = write_folder(tmp_path / "data", dict(synthetic_images(256, 16)))
    times = {}
    for cache in ("off", "memmap"):
        ds = ImageDataset(path, cache=cache)
        spent = []
        for _ in range(5):
            begin = time.process_time()
            ds.batch(range(16))
            spent.append(time.process_time() - begin)
        times[cache] = min(spent)
    assert times["off"] > 10 * times["memmap"]


def test_the_whole_set_moves_to_a_device(tmp_path, monkeypatch):
    path = write_folder(tmp_path / "data", FILES, LABELS)
    plain = ImageDataset(path, use_labels=True, mirror=True, cache="off", max_images=4)
    for limit in (2**30, 0):  # from memory, and from the memory map
        monkeypatch.setattr(dataset_module, "MAX_BYTES_IN_MEMORY", limit)
        ds = ImageDataset(path, use_labels=True, mirror=True, cache="device", max_images=4)
        fingerprint = ds.fingerprint
        ds.to_device(torch.device("cpu"))
        assert ds._pixels is not None
        for own, other in zip(ds.batch([7, 0, 3]), plain.batch([7, 0, 3]), strict=True):
            assert torch.equal(own, other)
        assert fingerprint == plain.fingerprint
