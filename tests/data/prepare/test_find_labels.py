"""Labels from the source, subfolders, CSV and JSON, and the errors for labels that do not fit."""

import json

import pytest

from stylegen.data.prepare.find_labels import Labels, find_labels
from stylegen.data.sources.folder import FolderSource
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder

KEYS = ["cat/1.png", "cat/2.png", "dög/1.png"]


@pytest.fixture
def source(tmp_path):
    return FolderSource(write_folder(tmp_path / "data", dict.fromkeys(KEYS, encode(1))))


@pytest.fixture
def write(tmp_path):
    def write(name: str, content) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def test_none_and_folders(source):
    assert find_labels("auto", source) == Labels(None, None)
    assert find_labels("none", source) == Labels(None, None)
    assert find_labels("folders", source) == Labels(dict(zip(KEYS, [0, 0, 1], strict=True)), ["cat", "dög"])


def test_auto_takes_what_the_source_has(tmp_path):
    note = {"labels": [["1.png", 1]], "class_names": ["a", "b"]}
    source = FolderSource(write_folder(tmp_path / "data", {"1.png": encode(1)}, note))
    assert find_labels("auto", source) == Labels({"1.png": 1}, ["a", "b"])
    assert find_labels("none", source) == Labels(None, None)


@pytest.mark.parametrize(
    ("text", "labels", "names"),
    [
        ("cat/1.png,0\ncat/2.png,0\ndög/1.png,2\n", [0, 0, 2], None),
        ("file,class\ncat/1.png,b\n\ncat/2.png,b\ndög/1.png,a\n", [1, 1, 0], ["a", "b"]),
        ("cat/1.png, a\ncat/2.png,a\ndög/1.png,b \n", [0, 0, 1], ["a", "b"]),
        ("\ufeffcat/1.png,x|y\ncat/2.png,y\ndög/1.png,\n", [(1, 1), (0, 1), (0, 0)], ["x", "y"]),
        ("image_id,smile,age\ncat/1.png,1,0.5\ncat/2.png,-1,0\ndög/1.png,0,1\n", [(1, 0.5), (-1, 0), (0, 1)], "header"),
    ],
)
def test_csv(source, write, text, labels, names):
    names = ["smile", "age"] if names == "header" else names
    assert find_labels(write("l.csv", text), source) == Labels(dict(zip(KEYS, labels, strict=True)), names)


@pytest.mark.parametrize(
    ("note", "labels", "names"),
    [
        (dict(zip(KEYS, [3, 1, 0], strict=True)), [3, 1, 0], None),
        (dict(zip(KEYS, ["b", "a", "b"], strict=True)), [1, 0, 1], ["a", "b"]),
        (dict(zip(KEYS, [["b"], ["a", "b"], ["a"]], strict=True)), [(0, 1), (1, 1), (1, 0)], ["a", "b"]),
        (dict(zip(KEYS, [[1, 0.5], [0, 0], [2, 2]], strict=True)), [(1, 0.5), (0, 0), (2, 2)], None),
        ({"labels": [[key, 1] for key in KEYS], "class_names": ["a", "b"]}, [1, 1, 1], ["a", "b"]),
        ({"labels": [[key, "b"] for key in KEYS], "class_names": ["b", "a"]}, [0, 0, 0], ["b", "a"]),
    ],
)
def test_json(source, write, note, labels, names):
    assert find_labels(write("l.json", note), source) == Labels(dict(zip(KEYS, labels, strict=True)), names)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("l.csv", "cat/1.png,0\n", "no label for cat/2.png, dög/1.png"),
        (
            "l.csv",
            "".join(f"{key},0\n" for key in [*KEYS, "no.png"]),
            "labels no.png, which the dataset does not contain",
        ),
        ("l.csv", "".join(f"{key},0\n" for key in [*KEYS, KEYS[0]]), "labels cat/1.png twice"),
        ("l.csv", "".join(f"{key},0\n" for key in [*KEYS, "../../etc/x.png"]), "does not contain"),
        ("l.csv", "cat/1.png,0\ncat/2.png,0,1\n", "has 3 column"),
        ("l.csv", "cat/1.png\n", "has 1 column"),
        ("l.csv", "cat/1.png,cat\ncat/2.png,\ndög/1.png,dog\n", "no label for cat/2.png"),
        ("l.csv", "cat/1.png,0\ncat/2.png, \ndög/1.png,1\n", "no label for cat/2.png"),
        ("l.csv", 'cat/1.png,"' + "x" * 200_000, "field larger than field limit"),
        ("l.csv", "".join(f"{key},nan,1\n" for key in KEYS), "finite numbers"),
        ("l.json", {"labels": [["cat/1.png", "c"], 5]}, "labels contains 5"),
        ("l.json", {"labels": [["cat/1.png", "c"], ["cat/2.png", "c", 1]]}, "labels contains ['cat/2.png', 'c', 1]"),
        ("l.json", dict.fromkeys(KEYS, 10**30), "an integer from 0 to 99999"),
        ("l.json", {key: [10**400] for key in KEYS}, "finite numbers"),
        ("l.json", '{"cat/1.png": 0, "cat/2.png": 0, "dög/1.png": 1, "cat/1.png": 1}', "contains cat/1.png twice"),
        ("l.csv", "cat/1.png,1,x\ncat/2.png,0,1\ndög/1.png,1,1", "could not convert string to float: 'x'"),
        ("l.json", "{", "must be a JSON file"),
        ("l.json", "[" * 100_000, "nested too deeply"),
        ("l.json", '{"cat/1.png": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ("l.csv", "".join(f"{key},{'9' * 5000}\n" for key in KEYS), "of 5000 digits"),
        ("l.csv", "".join(f"{key},{'9' * 5000},1\n" for key in KEYS), "finite numbers"),
        ("l.json", '{"a\\u001b[31m": 0}', r"\x1b[31m"),
        ("l.json", [], "contains a list"),
        ("l.json", {"labels": [["cat/1.png", "c"]], "class_names": ["a"]}, "'c' is not in class_names"),
        ("l.json", dict(zip(KEYS, [0, "a", 1], strict=True)), "labels contains"),
        ("l.json", dict(zip(KEYS, [0, [1], 1], strict=True)), "several kinds"),
        ("l.txt", "", "FILE.csv"),
    ],
)
def test_labels_that_do_not_fit(source, write, name, content, words):
    with pytest.raises(UserError) as caught:
        find_labels(write(name, content), source)
    assert words in str(caught.value)


def test_unreadable_files_and_images_without_a_folder(tmp_path, source):
    with pytest.raises(UserError, match="cannot be read"):
        find_labels(str(tmp_path / "none.csv"), source)
    (tmp_path / "latin.csv").write_bytes("dög/1.png,1".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        find_labels(str(tmp_path / "latin.csv"), source)
    flat = FolderSource(write_folder(tmp_path / "flat", {"x.png": encode(1)}))
    with pytest.raises(UserError, match=r"x\.png is not in a subfolder"):
        find_labels("folders", flat)


def test_a_file_of_gigabytes_is_not_read(source, tmp_path):
    for name in ("l.csv", "l.json"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(3 * 2**30)  # sparse: takes no space
        with pytest.raises(UserError, match="3072 MiB, more than 128"):
            find_labels(str(tmp_path / name), source)
