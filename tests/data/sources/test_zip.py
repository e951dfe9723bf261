"""Untrusted archives are checked, and written ones follow the common layout."""

import json
import os
import stat
import zipfile

import pytest

from stylegen.data.sources import zip as zip_module
from stylegen.data.sources.zip import ZipSource, write_zip
from stylegen.errors import UserError
from tests.support.datasets import encode, write_archive

FILES = {"00000/img00000000.png": encode(1), "00000/img00000001.png": encode(2)}


def refused(path) -> str:
    with pytest.raises(UserError) as caught:
        ZipSource(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png", "C:/x.png", "a\\x.png"])
def test_paths_that_climb_out(tmp_path, name):
    assert "not below the top" in refused(write_archive(tmp_path / "data.zip", {**FILES, name: b""}))


def test_links(tmp_path):
    path = write_archive(tmp_path / "data.zip", FILES)
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "link.png is a symbolic link" in refused(path)


def test_duplicates(tmp_path):
    path = write_archive(tmp_path / "data.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("00000/img00000000.png", b"another")
    assert "is in the archive twice" in refused(path)


def test_encryption(tmp_path):
    path = write_archive(tmp_path / "data.zip", FILES)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(data)
    assert "img00000000.png is encrypted" in refused(path)


def test_sizes_are_capped_before_reading(tmp_path, monkeypatch):
    bomb = tmp_path / "data.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(3 * 2**20))
    monkeypatch.setattr(zip_module, "MAX_IMAGE_BYTES", 2 * 2**20)
    source = ZipSource(bomb)
    with pytest.raises(UserError, match=r"bomb\.png unpacks to 3 MiB"):
        source.read("bomb.png", 10)
    source.close()


@pytest.mark.parametrize("cut", [0, 10, 500])
def test_truncated_archive(tmp_path, cut):
    path = write_archive(tmp_path / "data.zip", FILES)
    path.write_bytes(path.read_bytes()[:cut])
    assert "complete, undamaged zip" in refused(path)


def test_notes_that_are_bombs(tmp_path, monkeypatch):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encode(1))
        archive.writestr("dataset.json", b" " * (3 * 2**20) + b"{}")
    monkeypatch.setattr(zip_module, "MAX_METADATA_BYTES", 2 * 2**20)
    assert "dataset.json unpacks to 3 MiB" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_anywhere_is_a_clear_error(tmp_path, method):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("ü.png", b"pixels " * 9)
    whole = path.read_bytes()
    errors = 0
    for position in range(len(whole)):
        for value in (0x00, 0xFF):
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            try:
                source = ZipSource(path)
                for key in source.keys():  # noqa: SIM118
                    source.read(key)
                source.close()
            except UserError:
                errors += 1
    assert errors > 50


def test_damaged_member_names_itself(tmp_path):
    path = write_archive(tmp_path / "data.zip", FILES)
    data = bytearray(path.read_bytes())
    data[data.index(FILES["00000/img00000001.png"]) + 60] ^= 0xFF
    path.write_bytes(data)
    source = ZipSource(path)
    source.read("00000/img00000000.png")
    with pytest.raises(UserError, match=r"img00000001\.png cannot be read"):
        source.read("00000/img00000001.png")
    source.close()


def test_a_forked_worker_opens_its_own_handle(tmp_path, monkeypatch):
    source = ZipSource(write_archive(tmp_path / "data.zip", FILES))
    parent = source._archive
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert source.read("00000/img00000000.png") == FILES["00000/img00000000.png"]
    assert source._archive is not parent
    source.close()


def test_written_archives_have_the_layout_that_others_read(tmp_path):
    labels = [[key, i] for i, key in enumerate(FILES)]
    write_zip(tmp_path / "new" / "a.zip", FILES.items(), {"labels": labels, "name": "a"})
    write_zip(tmp_path / "new" / "b.zip", FILES.items(), {"name": "a", "labels": labels})
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["a.zip", "b.zip"]
    assert (tmp_path / "new" / "a.zip").read_bytes() == (tmp_path / "new" / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "new" / "a.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert dict(json.loads(archive.read("dataset.json"))["labels"]) == dict(labels)
        assert archive.read("00000/img00000001.png") == FILES["00000/img00000001.png"]


def test_a_failure_leaves_neither_archive_nor_remains(tmp_path):
    def broken():
        yield "a.png", encode(1)
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        write_zip(tmp_path / "a.zip", broken(), {})
    assert list(tmp_path.iterdir()) == []
