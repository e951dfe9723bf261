"""Folders and zips have the same interface and refuse labels that do not fit."""

import pickle

import pytest

from stylegen.data.sources import open_source
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder

FILES = {"b/x.png": encode(1), "a.JPG": encode(2, format="JPEG"), "b/y.webp": encode(3, format="WEBP")}
LABELS = [["b/y.webp", 2], ["a.JPG", 0], ["b/x.png", 1]]


def test_keys_bytes_labels_and_metadata(pack):
    source = open_source(pack({**FILES, "readme.txt": b"no image"}, {"labels": LABELS, "name": "mine"}))
    keys = source.keys()
    assert keys == ["a.JPG", "b/x.png", "b/y.webp"]
    assert [source.read(key) for key in keys] == [FILES[key] for key in keys]
    assert [source.label(key) for key in keys] == [0, 1, 2]
    assert source.metadata["name"] == "mine"
    assert source.read("b/x.png", limit=8) == FILES["b/x.png"][:8]
    source.close()


def test_no_labels(pack):
    for number, note in enumerate([None, {}, {"labels": None}]):
        source = open_source(pack(FILES, note, name=f"data{number}"))
        assert source.label("a.JPG") is None
        assert source.metadata == (note or {})
        source.close()


def test_vectors_are_labels(pack):
    source = open_source(pack({"x.png": encode(1)}, {"labels": [["x.png", [0, 0.5]]]}))
    assert source.label("x.png") == (0.0, 0.5)
    source.close()


def test_pickles_and_reads_again_after_close(pack):
    source = open_source(pack(FILES))
    source.read("a.JPG")
    copy = pickle.loads(pickle.dumps(source))
    source.close()
    for reopened in (copy, source):
        assert reopened.read("a.JPG") == FILES["a.JPG"]
        reopened.close()


def test_hidden_copies_are_no_images(pack):
    source = open_source(pack({**FILES, "__MACOSX/a.png": b"", "._a.JPG": b"", ".trash/a.png": b""}))
    assert source.keys() == sorted(FILES)
    source.close()


def test_only_its_own_keys_are_read(pack):
    source = open_source(pack(FILES, {"labels": None}))
    for key in ("../secret.png", "missing.png", "dataset.json"):
        with pytest.raises(KeyError):
            source.read(key)
    source.close()


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ([], "contains a list"),
        ({"labels": {"a.JPG": 0}}, "labels is"),
        ({"labels": [["a.JPG", "cat"]]}, "labels contains"),
        ({"labels": [["a.JPG", -1]]}, "labels contains"),
        ({"labels": [["a.JPG", True]]}, "labels contains"),
        ({"labels": [["a.JPG", []]]}, "labels contains"),
        ({"labels": [["a.JPG", [1, "x"]]]}, "labels contains"),
        ({"labels": [*LABELS, ["a.JPG", 1]]}, "labels a.JPG twice"),
        ({"labels": [*LABELS, ["c.png", 1]]}, "labels c.png, which the dataset does not contain"),
        ({"labels": LABELS[1:]}, "no label for b/y.webp"),
        ({"labels": [["a.JPG", 1], ["b/x.png", [1.0]], ["b/y.webp", 0]]}, "several kinds"),
    ],
)
def test_labels_that_do_not_fit(pack, note, message):
    with pytest.raises(UserError, match=r"dataset\.json.*") as caught:
        open_source(pack(FILES, note))
    assert message in str(caught.value)


def test_broken_json(pack):
    with pytest.raises(UserError, match=r"dataset\.json cannot be read"):
        open_source(pack({**FILES, "dataset.json": b'{"labels": '}))


def test_neither_folder_nor_zip(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_source(tmp_path / "nowhere")
    (write_folder(tmp_path, {}) / "data.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"not a folder, \.zip, \.lmdb or \.parquet file"):
        open_source(tmp_path / "data.tar")
