"""`python -m stylegen prepare` from the command line: output, messages, errors."""

import json
import stat
import zipfile
from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.data.dataset import ImageDataset
from tests.support.datasets import encode, write_archive, write_folder
from tests.support.runs import refused

FILES = {f"{'ab'[i % 2]}/{i}.png": encode(i, (16, 16)) for i in range(4)}


def command(source: Path, out: Path, *settings: str) -> list[str]:
    return ["prepare", f"source={source}", f"out={out}", "processes=1", *settings]


def prepare(source: Path, out: Path, *settings: str) -> int:
    return main(command(source, out, *settings))


def test_every_setting_arrives(tmp_path, capsys):
    source = write_folder(tmp_path / "Fotos (ä)=1", {**FILES, "a/bad.jpg": b"text"})
    settings = ["resolution=8", "crop=pad", "filter=box", "channels=gray", "background=#000000", "min_size=4"]
    choices = ["max_images=4", "seed=3", "labels=folders"]
    assert prepare(source, tmp_path / "süß.zip", *settings, *choices) == 0
    out = capsys.readouterr()
    note = json.loads(zipfile.ZipFile(tmp_path / "süß.zip").read("dataset.json"))
    assert note["prepared"] == {
        "resolution": 8,
        "crop": "pad",
        "filter": "box",
        "channels": "gray",
        "background": "#000000",
        "min_size": 4,
    }
    assert note["class_names"] == ["a", "b"]
    report = json.loads((tmp_path / "süß.zip.report.json").read_text(encoding="utf-8"))
    assert report["written"] + len(report["left_out"]) == 4
    last = out.out.splitlines()[-1]
    assert f"{report['written']} of 5 images, 8x8 gray, 2 classes" in last
    assert "1 not chosen (max_images)" in last
    assert f"fingerprint {note['fingerprint']}" in last
    assert last.endswith(f"left out, see {tmp_path / 'süß.zip.report.json'}") == bool(report["left_out"])


@pytest.mark.parametrize("out", ["out.zip", "out.lmdb", "out"])
def test_what_is_left_out_is_in_the_last_line(tmp_path, capsys, out):
    source = write_archive(tmp_path / "in.zip", {**FILES, "a/bad.jpg": b"text", "a/small.png": encode(9)})
    assert prepare(source, tmp_path / out, "resolution=16") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "labels=folders uses the 2 subfolders as classes" in lines[0]
    assert "5 of 6 images, 16x16 rgb, no labels, 1 of them enlarged, fingerprint" in lines[-1]
    assert lines[-1].endswith(f"1 left out, see {tmp_path / out}.report.json")
    assert ImageDataset(tmp_path / out).num_images == 5


def linked(path: Path) -> Path:
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(write_archive(path, FILES), "a") as archive:
        archive.writestr(link, "/etc/passwd")
    return path


def twice(path: Path) -> Path:
    with zipfile.ZipFile(write_archive(path, FILES), "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/0.png", b"")
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(write_archive(path, FILES).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(write_archive(path, FILES).read_bytes()[:500])
    return path


SOURCES = {
    "missing": (lambda path: path.with_name("nowhere"), "does not exist"),
    "empty": (lambda path: write_folder(path.with_name("empty"), {}), "contains no images"),
    "climbing": (lambda path: write_archive(path, {**FILES, "../x.png": b""}), "not below the top"),
    "linked": (linked, "symbolic link"),
    "encrypted": (encrypted, "encrypted"),
    "cut": (cut, "undamaged zip"),
    "twice": (twice, "twice"),
    "labels of nothing": (lambda path: write_archive(path, FILES, {"labels": [["x.png", 0]]}), "does not contain"),
    "labels left out": (lambda path: write_archive(path, FILES, {"labels": [["a/0.png", 0]]}), "no label for"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_bad_sources(tmp_path, capsys, kind):
    make, words = SOURCES[kind]
    assert words in refused(command(make(tmp_path / "in.zip"), tmp_path / "out.zip"), tmp_path, capsys)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["resolution=100"], "a power of two"),
        (["crop=centre"], "Did you mean center"),
        (["processes=0"], "processes=0"),
        (["croop=center"], "crop"),
        (["labels=nowhere.csv"], "cannot be read"),
        (["max_images=many"], "max_images"),
    ],
)
def test_bad_settings(tmp_path, capsys, settings, words):
    source = write_folder(tmp_path / "in", FILES)
    assert words in refused(command(source, tmp_path / "out.zip", *settings), tmp_path, capsys)


def test_strict_ends_at_a_bad_image(tmp_path, capsys):
    source = write_folder(tmp_path / "in", {**FILES, "a/bad.png": b"text"})
    assert prepare(source, tmp_path / "out.zip", "strict=true") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "a/bad.png" in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "source=nope", "out=x.zip"], "source=nope does not exist: source must be a folder, .zip, "),
        (
            ["project", "images=nope"],
            "images=nope does not exist: must be an image, a folder of images, or an archive.",
        ),
    ],
)
def test_missing_images(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(arguments, tmp_path, capsys)


def test_source_and_out_must_be_given(tmp_path, capsys):
    assert "source" in refused(["prepare", "out=x.zip"], tmp_path, capsys)


def test_the_portraits_are_a_source_too(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "stylegen.data.openmoji.dataset_path",
        lambda resolution: write_archive(tmp_path / "portraits.zip", FILES, {"license": "CC BY-SA 4.0"}),
    )
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "source=openmoji", "out=small.zip", "resolution=8", "processes=1"]) == 0
    assert ImageDataset("small.zip").source.metadata["license"] == "CC BY-SA 4.0"
