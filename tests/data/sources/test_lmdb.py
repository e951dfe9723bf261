"""Our LMDB: the same input gives the same bytes, any number of readers; foreign and damaged files are refused."""

import os
import pickle
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from stylegen.data.dataset import ImageDataset
from stylegen.data.sources import lmdb as module
from stylegen.data.sources import open_source
from stylegen.data.sources.lmdb import LmdbSource, write_lmdb
from stylegen.errors import UserError
from tests.support.datasets import encode

lmdb = pytest.importorskip("lmdb")

FILES = {f"ü/{i}.png": encode(i) for i in range(5)}
NOTE = {"labels": [[key, i % 2] for i, key in enumerate(FILES)], "name": "five"}


@pytest.fixture
def path(tmp_path):
    write_lmdb(tmp_path / "data.lmdb", FILES.items(), NOTE, sum(map(len, FILES.values())))
    return tmp_path / "data.lmdb"


def test_the_mode_follows_the_umask(path):
    (path.parent / "plain").touch()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode


def test_keys_bytes_labels_and_metadata(path):
    source = open_source(path)
    assert source.keys() == list(FILES)
    assert [source.read(key) for key in FILES] == list(FILES.values())
    assert source.read("ü/3.png", 8) == FILES["ü/3.png"][:8]
    assert [source.label(key) for key in FILES] == [0, 1, 0, 1, 0]
    assert source.metadata == NOTE
    with pytest.raises(KeyError):
        source.read("dataset.json")
    source.close()


def test_several_sources_of_one_file_in_one_process(path):
    first, second = LmdbSource(path), LmdbSource(path)
    copy = pickle.loads(pickle.dumps(first))
    first.close()
    first.close()
    assert second.read("ü/0.png") == copy.read("ü/0.png") == first.read("ü/0.png") == FILES["ü/0.png"]
    for source in (first, second, copy):
        source.close()
    assert not module._opened


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_workers_read_what_the_parent_has_open(path):
    """DataLoader forks its workers on Linux; LMDB forbids using an inherited environment or reopening it."""
    ds = ImageDataset(path, use_labels=True, cache="off")
    expected = ds.batch(range(5))[0]
    loader = DataLoader(ds, batch_size=5, num_workers=2, multiprocessing_context="fork")
    for _ in range(2):
        assert torch.equal(next(iter(loader))[0], expected)
    assert torch.equal(ds.batch(range(5))[0], expected)
    ds.source.close()


def test_many_commits_and_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_COMMIT_EVERY", 3)
    files = {f"{i}.png": bytes([i]) * (i * 211) for i in range(40)}
    for name in ("a.lmdb", "b.lmdb"):
        write_lmdb(tmp_path / name, files.items(), {}, 200_000)
    assert (tmp_path / "a.lmdb").read_bytes() == (tmp_path / "b.lmdb").read_bytes()
    source = LmdbSource(tmp_path / "a.lmdb")
    assert [source.read(key) for key in files] == list(files.values())
    source.close()


def test_a_failure_leaves_nothing(tmp_path):
    def broken():
        yield "a.png", encode(1)
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        write_lmdb(tmp_path / "a.lmdb", broken(), {}, 1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [False, True])
def test_foreign_ones_are_refused(tmp_path, folder):
    environment = lmdb.open(str(tmp_path / "x.lmdb"), subdir=folder, lock=False)
    with environment.begin(write=True) as transaction:
        transaction.put(b"00a1", encode(1))
    environment.close()
    with pytest.raises(UserError, match=r"was not written by stylegen.*Unpack it"):
        open_source(tmp_path / "x.lmdb")


@pytest.mark.parametrize("content", [b"", b"text" * 5000])
def test_broken_ones_are_refused(tmp_path, content):
    (tmp_path / "x.lmdb").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        open_source(tmp_path / "x.lmdb")


def test_cut_short_is_refused_before_it_kills_the_process(path):
    files = {f"{i}.png": bytes(9000) for i in range(40)}
    write_lmdb(path, files.items(), {}, 360_000)
    whole = path.read_bytes()
    for size in (len(whole) - 4096, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="cannot be read"):
            open_source(path)


def test_without_the_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UserError, match=r"stylegen\[lmdb\]"):
        open_source(path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (b"names", None, "names is missing"),
        (b"dataset.json", None, "dataset.json is missing"),
        (b"names", b"[1, 2]", "not a list of strings"),
        (b"names", b"{}", "not a list of strings"),
        (b"names", b"[" * 100_000, "nested too deeply"),
        (b"names", b'["a.png", "a.png"]', "have the same name"),
        (b"names", b"\xff", "damaged"),
        (b"dataset.json", b"[]", "contains a list"),
        (b"image/00000002", None, "image/00000002 is missing"),
    ],
)
def test_missing_and_odd_entries_are_refused(path, key, value, words):
    with lmdb.open(str(path), subdir=False) as environment, environment.begin(write=True) as transaction:
        _ = transaction.delete(key) if value is None else transaction.put(key, value)
    with pytest.raises(UserError, match=words):
        ImageDataset(path)
    if "image" not in words:
        assert not module._opened
    for environment, _ in module._opened.values():
        environment.close()
    module._opened.clear()
