"""`prepare` skips bad images, reports each, and writes the same bytes after any interruption."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare import preparation as module
from stylegen.data.prepare.image_conversion import Recipe, UnusableError
from stylegen.data.prepare.preparation import prepare
from stylegen.data.prepare.spool import Spool
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES
from stylegen.data.sources.zip import ZipSource
from stylegen.errors import DamagedFile, RunError, UserError
from stylegen.files import exclusive
from tests.support.datasets import encode, write_archive, write_folder
from tests.support.killed_recipe import FATAL, KilledRecipe
from tests.support.messy_images import messy_images, photo, saved

FILES = {f"{'ab'[i % 2]}/{i}.png": encode(i, (16, 16)) for i in range(12)}


def run(source: Path, out: Path, recipe: Recipe | None = None, **options):
    return prepare(
        open_source(source, suffixes=CONVERTIBLE_SUFFIXES), out, recipe or Recipe(), **{"processes": 1, **options}
    )


def left_beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if out.name in path.name)


def test_mixed_images(tmp_path):
    images = list(messy_images(640, 24))  # all kinds, twice
    source = write_folder(tmp_path / "messy", {name: data for name, data, _ in images})
    bad = [name for name, _, usable in images if not usable]
    done = run(source, tmp_path / "out.zip", Recipe(resolution=16), labels="folders", processes=2)
    assert (done.written, done.left_out) == (640 - len(bad), len(bad))
    report = json.loads(done.report.read_text(encoding="utf-8"))
    assert sorted(item["file"] for item in report["left_out"]) == sorted(bad)
    assert all(item["reason"] for item in report["left_out"])
    assert report["written"] == len(report["files"]) == done.written
    ds = ImageDataset(tmp_path / "out.zip", use_labels=True)
    assert (ds.num_images, ds.spec.num_classes, ds.class_names) == (done.written, 5, list("01234"))
    assert ds.fingerprint == done.metadata["fingerprint"]
    for number, (name, key) in enumerate(report["files"].items()):
        assert ds.labels().indices[number] == int(key[0]), name


def test_zip_members_that_are_bombs_are_left_out(tmp_path, monkeypatch):
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encode(1))
        archive.writestr("bomb.png", bytes(3 * 2**20))
    monkeypatch.setattr("stylegen.data.sources.zip.MAX_IMAGE_BYTES", 2 * 2**20)
    done = run(path, tmp_path / "out.zip")
    assert json.loads(done.report.read_text())["left_out"][0]["file"] == "bomb.png"
    assert done.written == 1


def edited(path: Path, out: Path, **changes: object) -> Path:
    """A copy of a prepared zip with other metadata; its stamp stays valid, because it covers the images only."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "dataset.json":
                content = json.dumps(json.loads(content) | changes).encode()
            new.writestr(name, content)
    return out


@pytest.fixture
def prepared(tmp_path) -> Path:
    run(write_folder(tmp_path / "in", FILES), tmp_path / "out.zip", labels="folders")
    return tmp_path / "out.zip"


@pytest.fixture
def another(tmp_path) -> Path:
    """A dataset of as many other images, of the same size and with the same labels."""
    files = {name: encode(100 + i, (16, 16)) for i, name in enumerate(FILES)}
    run(write_folder(tmp_path / "in2", files), tmp_path / "another.zip", labels="folders")
    return tmp_path / "another.zip"


def note_of(path: Path) -> dict:
    return open_source(path).metadata


@pytest.mark.parametrize("cache", ["auto", "off", "memmap"])
def test_the_fingerprint_depends_on_the_pixels(prepared, tmp_path, cache):
    expected = note_of(prepared)["fingerprint"]
    assert ImageDataset(prepared, cache=cache).fingerprint == expected
    bare = edited(prepared, tmp_path / "bare.zip", digests=None, fingerprint=None)
    assert ImageDataset(bare, cache=cache).fingerprint == expected


@pytest.mark.parametrize("cache", ["auto", "off", "memmap"])
def test_a_dataset_cannot_claim_the_fingerprint_of_another(prepared, another, tmp_path, cache):
    claim, own = note_of(prepared), note_of(another)
    forged = edited(another, tmp_path / "forged.zip", fingerprint=claim["fingerprint"], labels_stamp="x")
    assert ImageDataset(forged, cache=cache).fingerprint == own["fingerprint"] != claim["fingerprint"]
    forged = edited(another, tmp_path / "forged2.zip", fingerprint=claim["fingerprint"], digests=claim["digests"])
    if cache == "off":  # other caches compute it from the pixels
        with pytest.raises(DamagedFile, match="is not the image that was prepared"):
            assert ImageDataset(forged, cache=cache).fingerprint
        with pytest.raises(DamagedFile, match="is not the image that was prepared"):
            ImageDataset(forged, cache=cache).batch([11])
    else:
        assert ImageDataset(forged, cache=cache).fingerprint == own["fingerprint"]


def test_one_exchanged_image_is_noticed_when_it_is_read(prepared, another, tmp_path):
    """The stamp and digests match a dataset with the other image."""
    digests = note_of(prepared)["digests"]
    digests[5] = note_of(another)["digests"][5]
    ds = ImageDataset(edited(prepared, tmp_path / "forged.zip", digests=digests), cache="off")
    ds.batch([0, 4, 6])
    with pytest.raises(DamagedFile, match=r"img00000005\.png is not the image"):
        ds.batch([5])


def test_the_lmdb_has_no_stamp_but_its_file(prepared, another, tmp_path):
    run(another, tmp_path / "another.lmdb")
    source = open_source(tmp_path / "another.lmdb")
    before = source.stamp()
    source.metadata["stamp"] = note_of(prepared)["stamp"]
    assert source.stamp() == before != note_of(prepared)["stamp"]
    source.close()


def test_digests_save_reading_until_a_label_is_edited(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("stylegen.data.dataset._SPOT_CHECKS", 3)
    reads = []
    read = ZipSource.read
    monkeypatch.setattr(ZipSource, "read", lambda *a: (reads.append(a[1]), read(*a))[1])
    ds = ImageDataset(prepared, cache="off")
    reads.clear()
    assert ds.fingerprint == note_of(prepared)["fingerprint"]
    assert len(reads) == 3
    labels = note_of(prepared)["labels"]
    labels[0][1] = 1 - labels[0][1]
    relabeled = edited(prepared, tmp_path / "edited.zip", labels=labels)
    assert ImageDataset(relabeled, cache="off").fingerprint != note_of(prepared)["fingerprint"]


def test_round_trips_between_all_formats(tmp_path):
    path = write_folder(tmp_path / "in", FILES)
    first = run(path, tmp_path / "0.zip", labels="folders")
    reference = ImageDataset(tmp_path / "0.zip", use_labels=True)
    for number, name in enumerate(["1.lmdb", "2", "3.lmdb", "4.zip", "5", "6.zip"]):
        before = tmp_path / ["0.zip", "1.lmdb", "2", "3.lmdb", "4.zip", "5"][number]
        done = run(before, tmp_path / name)
        ds = ImageDataset(tmp_path / name, use_labels=True)
        assert torch.equal(ds.batch(range(12))[0], reference.batch(range(12))[0])
        assert torch.equal(ds.labels().indices, reference.labels().indices)
        assert ds.class_names == ["a", "b"]
        assert ds.fingerprint == done.metadata["fingerprint"] == first.metadata["fingerprint"]
        ds.source.close()


def test_the_layout_is_nvidias(tmp_path):
    run(write_folder(tmp_path / "in", FILES), tmp_path / "out.zip", labels="folders")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        note = json.loads(archive.read("dataset.json"))
        assert [name for name, _ in note["labels"]] == archive.namelist()[:-1]
        assert archive.namelist()[0] == "00000/img00000000.png"
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        image = np.asarray(Image.open(io.BytesIO(archive.read("00000/img00000000.png"))))
    np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(FILES["a/0.png"]))))
    assert note["prepared"] == {
        "resolution": 16,
        "crop": "center",
        "filter": "lanczos",
        "channels": "rgb",
        "background": "white",
        "min_size": 0,
    }


@pytest.mark.parametrize("name", ["out.zip", "out.lmdb", "out"])
def test_any_number_of_processes_gives_the_same_bytes(tmp_path, name):
    source = write_folder(tmp_path / "in", FILES)
    run(source, tmp_path / "one" / name)
    run(source, tmp_path / "two" / name, processes=2)
    assert contents(tmp_path / "one" / name) == contents(tmp_path / "two" / name)


def contents(out: Path) -> dict[str, bytes]:
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


SLOW = """
import sys, time
from pathlib import Path
from stylegen.data.prepare import preparation as prepare
from stylegen.data.prepare.image_conversion import Recipe, UnusableError
from stylegen.data.sources import open_source
convert = Recipe.__call__
journal = Path(sys.argv[2]).with_name(f".{Path(sys.argv[2]).name}.journal")

def slow(self, data):
    while journal.exists() and journal.read_bytes().count(b"\\n") > 50:
        time.sleep(1)  # the rest is never converted
    time.sleep(0.02)
    return convert(self, data)

Recipe.__call__ = slow
prepare.prepare(open_source(sys.argv[1]), Path(sys.argv[2]), Recipe(resolution=16), processes=int(sys.argv[3]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize(("name", "processes"), [("out.zip", 1), ("out.lmdb", 1), ("out", 2)])
def test_killed_half_way_and_started_again(tmp_path, name, processes):
    images = {name: data for name, data, _ in messy_images(120, 24)}
    source = write_folder(tmp_path / "in", images)
    run(source, tmp_path / "whole" / name, Recipe(resolution=16))
    out = tmp_path / "killed" / name
    journal = out.with_name(f".{name}.journal")
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(source), str(out), str(processes)])
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 40):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not out.exists()
    done = run(source, out, Recipe(resolution=16))
    assert 40 <= done.continued < 120
    assert contents(out) == contents(tmp_path / "whole" / name)
    assert left_beside(out) == [name, f"{name}.report.json"]
    reports = [(folder / f"{name}.report.json").read_bytes() for folder in (out.parent, tmp_path / "whole")]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("damage", ["cut", "scribble", "hole", "journal"])
def test_what_a_failing_power_left_is_not_trusted(tmp_path, monkeypatch, damage):
    source = write_folder(tmp_path / "in", FILES)
    run(source, tmp_path / "whole" / "out.zip")
    add = Spool.add

    def interrupted(self, image):
        if len(self.kept) == 7:
            raise KeyboardInterrupt
        add(self, image)

    monkeypatch.setattr(Spool, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.zip")
    monkeypatch.undo()
    spool, journal = tmp_path / ".out.zip.partial", tmp_path / ".out.zip.journal"
    if damage == "cut":
        spool.write_bytes(spool.read_bytes()[:2000])
    elif damage == "scribble":
        spool.write_bytes(spool.read_bytes()[:-9] + bytes(9))
    elif damage == "hole":  # a page that never reached the disk, before others that were written
        spool.write_bytes(spool.read_bytes()[:2000] + bytes(40) + spool.read_bytes()[2040:])
    else:
        journal.write_bytes(journal.read_bytes()[:-20])
    done = run(source, tmp_path / "out.zip")
    assert done.continued == {"cut": 2, "scribble": 6, "hole": 2, "journal": 6}[damage]
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "whole" / "out.zip").read_bytes()


def test_other_settings_start_anew_with_a_note(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "in", FILES)
    monkeypatch.setattr(module, "combine", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.zip")
    monkeypatch.undo()
    done = run(source, tmp_path / "out.zip", Recipe(resolution=8))
    assert done.continued == 0
    assert "discarded" in done.notices[0]


def test_max_images_is_a_choice_by_seed(tmp_path):
    source = write_folder(tmp_path / "in", FILES)

    def chosen(seed: int, name: str) -> list[str]:
        done = run(source, tmp_path / name, max_images=5, seed=seed)
        return list(json.loads(done.report.read_text())["files"].values())

    first = chosen(0, "a.zip")
    assert len(first) == 5
    assert first == sorted(first) == chosen(0, "b.zip")
    assert first != chosen(1, "c.zip")


def test_other_formats_and_subfolders_are_mentioned(tmp_path):
    done = run(write_folder(tmp_path / "in", {**FILES, "a/x.svg": b"<svg/>", "a/notes.txt": b""}), tmp_path / "o.zip")
    assert json.loads(done.report.read_text())["left_out"] == [
        {"file": "a/x.svg", "reason": "only PNG, JPEG, WebP, TIFF, GIF and BMP are read"}
    ]
    assert done.left_out == 1
    assert "labels=folders uses the 2 subfolders" in done.notices[0]


def test_without_a_resolution_the_first_image_decides(tmp_path):
    done = run(write_folder(tmp_path / "in", {"a.png": encode(0), "b.png": encode(1, (16, 16))}), tmp_path / "o.zip")
    assert (done.written, done.left_out) == (1, 1)
    assert "the first image is 8x8" in json.loads(done.report.read_text())["left_out"][0]["reason"]


def test_licenses_travel_with_the_images(tmp_path):
    note = {"license": "CC0", "attribution": "somebody", "name": "old", "glyphs": [1]}
    metadata = run(write_archive(tmp_path / "in.zip", FILES, note), tmp_path / "new.zip").metadata
    assert (metadata["license"], metadata["attribution"], metadata["name"]) == ("CC0", "somebody", "new")
    assert "glyphs" not in metadata


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out.zip", {"strict": True}, "b.png: not a PNG.*strict=true"),
        ("taken.zip", {}, r"taken\.zip exists"),
        ("out.tar", {}, "must be a .zip file, an .lmdb file or a folder"),
        ("in/out", {}, "must not be inside its own source"),
        ("in/out.v2", {}, "must not be inside its own source"),
        ("taken.zip/out.zip", {}, "not a writable folder"),
        ("out.zip", {"max_images": 0}, "max_images=0"),
        ("out.zip", {"labels": "none.csv"}, "cannot be read"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, name, options, words):
    source = write_folder(tmp_path / "in", {"a.png": encode(0), "b.png": b"text"})
    (tmp_path / "taken.zip").write_bytes(b"precious")
    with pytest.raises(UserError, match=words):
        run(source, tmp_path / name, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "taken.zip"]
    assert (tmp_path / "taken.zip").read_bytes() == b"precious"


def test_no_usable_image(tmp_path):
    with pytest.raises(UserError, match=r"none of 1 images can be used \(x\.png: an empty file\)"):
        run(write_folder(tmp_path / "in", {"x.png": b""}), tmp_path / "out.zip")
    with pytest.raises(UserError, match=r"contains no images \(but 1 of other formats\)"):
        run(write_folder(tmp_path / "svgs", {"x.svg": b""}), tmp_path / "out.zip")
    assert left_beside(tmp_path / "out.zip") == []


@pytest.mark.parametrize("pack", [write_folder, write_archive])
def test_tiff_gif_and_bmp_are_converted(tmp_path, pack):
    """Lossless, so pixels equal the PNG's; the image is small, because a GIF has at most 256 colors."""
    formats = {"PNG": "a.png", "TIFF": "b.TIFF", "BMP": "c.bmp", "GIF": "d.gif"}
    done = run(
        pack(tmp_path / "in.zip", {name: encode(3, (8, 8), 3, f) for f, name in formats.items()}), tmp_path / "o"
    )
    assert (done.found, done.written, done.left_out) == (4, 4, 0)
    pixels = ImageDataset(tmp_path / "o").batch(range(4))[0]
    assert torch.equal(pixels, pixels[:1].expand(4, -1, -1, -1))
    with pytest.raises(UserError, match="contains no images"):  # training reads fewer formats
        ImageDataset(write_folder(tmp_path / "only", {"b.tif": encode(3, format="TIFF")}))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "LA", "RGBA"])
def test_modes_of_tiffs(mode):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(buffer, "TIFF")
    if mode != "I;16":
        buffer = io.BytesIO()
        Image.new("RGBA" if mode == "LA" else "RGB", (8, 8), "red").convert(mode).save(buffer, "TIFF")
    found = np.asarray(Image.open(io.BytesIO(Recipe()(buffer.getvalue()).png)))
    expected = {"I;16": (156, 156, 156), "L": (76, 76, 76), "LA": (76, 76, 76)}.get(mode)
    assert found.shape == (8, 8, 3)
    if expected:
        assert tuple(found[0, 0]) == expected


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_tiffs_of_32_bits_are_left_out(dtype):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 7, dtype)).save(buffer, "TIFF")
    with pytest.raises(UnusableError, match="32 bits"):
        Recipe()(buffer.getvalue())


def test_heic_is_refused_by_message(tmp_path):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    done = run(
        write_folder(tmp_path / "in", {**FILES, "x.HEIC": heic, "y.heif": heic, "z.jpg": heic}), tmp_path / "o.zip"
    )
    report = json.loads(done.report.read_text())
    reasons = {item["file"]: item["reason"] for item in report["left_out"]}
    assert set(reasons) == {"x.HEIC", "y.heif", "z.jpg"}
    assert set(reasons.values()) == {"HEIC is not read: convert it to JPEG or PNG first"}
    assert "2 HEIC file(s) left out" in done.notices[0]


def test_the_counts_add_up(tmp_path):
    files = {**FILES, "x.svg": b"", "bad.png": b"", "small.png": encode(9, (4, 4)), "notes.txt": b""}
    done = run(write_folder(tmp_path / "in", files), tmp_path / "o.zip", Recipe(min_size=8), max_images=13)
    assert done.found == 15 == done.written + done.left_out + done.not_chosen
    report = json.loads(done.report.read_text())
    assert report["found"] == report["written"] + len(report["left_out"]) + report["not_chosen"]
    assert report["not_chosen"] == 1


def test_a_killed_worker_is_named_and_the_work_continues(tmp_path):
    assert FATAL in FILES.values()
    source, out = write_folder(tmp_path / "in", FILES), tmp_path / "out.zip"
    run(source, tmp_path / "whole.zip")
    with pytest.raises(RunError, match="one of 2 worker processes died"):
        prepare(open_source(source), out, KilledRecipe(), processes=2)
    assert not out.exists()
    done = run(source, out)
    assert done.written == 12
    with zipfile.ZipFile(out) as found, zipfile.ZipFile(tmp_path / "whole.zip") as whole:
        assert [found.read(name) for name in found.namelist()[:-1]] == [
            whole.read(name) for name in whole.namelist()[:-1]
        ]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
def test_sigterm_leaves_nothing_in_the_folder_of_temporary_files(tmp_path):
    source = write_folder(tmp_path / "in", {f"{i}.png": encode(i, (16, 16)) for i in range(200)})
    (tmp_path / "tmp").mkdir()
    out = tmp_path / "out.zip"
    journal = out.with_name(".out.zip.journal")
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(source), str(out), "2"], env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    )
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        assert child.poll() is None
        time.sleep(0.01)
    assert list((tmp_path / "tmp").iterdir())
    child.terminate()
    assert child.wait() == 128 + signal.SIGTERM
    assert not list((tmp_path / "tmp").iterdir())
    assert run(source, out, Recipe(resolution=16)).continued > 0


def test_strict_refuses_other_formats_first(tmp_path):
    with pytest.raises(UserError, match=r"x\.svg: only PNG, JPEG, WebP, TIFF"):
        run(write_folder(tmp_path / "in", {**FILES, "x.svg": b""}), tmp_path / "out.zip", strict=True)


def test_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "in", FILES)
    run(source, tmp_path / "whole" / "out.zip")
    add = Spool.add

    def full(self, image):
        if len(self.kept) == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, image)

    monkeypatch.setattr(Spool, "add", full)
    with pytest.raises(UserError, match=r"no space left.*7 of 12 images are done.*it continues"):
        run(source, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
    monkeypatch.undo()
    assert run(source, tmp_path / "out.zip").continued == 7
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "whole" / "out.zip").read_bytes()


@pytest.mark.parametrize("name", ["out.lmdb", "out"])
def test_a_disk_that_is_full_at_the_end_leaves_no_report(tmp_path, monkeypatch, name):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    source = write_folder(tmp_path / "in", FILES)
    monkeypatch.setattr(module, "write_lmdb", full)
    monkeypatch.setattr(module, "write_folder", full)
    with pytest.raises(UserError, match="12 of 12 images are done"):
        run(source, tmp_path / name)
    assert left_beside(tmp_path / name) == [f".{name}.journal", f".{name}.partial"]
    monkeypatch.undo()
    assert run(source, tmp_path / name).continued == 12


FINISHING = """
import os, signal, sys
from pathlib import Path
from stylegen.data.prepare import preparation as prepare
from stylegen.data.prepare.image_conversion import Recipe, UnusableError
from stylegen.data.sources import open_source
from stylegen.data.prepare.spool import Spool
images = Spool.images
def killed(self):
    for number, item in enumerate(images(self)):
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item
Spool.images = killed
prepare.prepare(open_source(sys.argv[1]), Path(sys.argv[2]), Recipe(), processes=1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("name", ["out.lmdb", "out"])
def test_killed_while_finishing_leaves_nothing_behind_in_the_end(tmp_path, name):
    source = write_folder(tmp_path / "in", FILES)
    child = subprocess.run([sys.executable, "-c", FINISHING, str(source), str(tmp_path / name)])
    assert child.returncode == -signal.SIGKILL
    run(source, tmp_path / "whole" / name)
    assert run(source, tmp_path / name).continued == 12
    assert contents(tmp_path / name) == contents(tmp_path / "whole" / name)
    assert left_beside(tmp_path / name) == [name, f"{name}.report.json"]


def test_a_disk_that_will_be_full_is_seen_early(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHECK_SPACE_EVERY", 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9000, 0, 5000))
    with pytest.raises(UserError, match="4 of 12 images are done"):
        run(write_folder(tmp_path / "in", FILES), tmp_path / "out.zip")


def test_two_at_once_are_refused(tmp_path):
    with (
        exclusive(tmp_path / "out.zip", wait=False),
        pytest.raises(UserError, match="another process is writing"),
    ):
        run(write_folder(tmp_path / "in", FILES), tmp_path / "out.zip")


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_that_are_no_text(tmp_path):
    source = write_folder(tmp_path / "in", {"ok.png": saved(photo(0, (8, 8)))})
    Path(os.fsdecode(bytes(source) + b"/caf\xe9.png")).write_bytes(b"")
    done = run(source, tmp_path / "out.zip")
    assert (done.written, done.left_out) == (1, 1)
    assert json.loads(done.report.read_text(encoding="utf-8"))["left_out"][0]["reason"] == "an empty file"
