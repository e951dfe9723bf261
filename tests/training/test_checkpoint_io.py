"""Checkpoint files are atomic: complete or absent."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.checkpoints.sealed import load_sealed
from stylegen.errors import RunError
from stylegen.training.checkpoint_io import link_checkpoint, required_bytes, write_checkpoint
from tests.support.disturbed import fill, in_save


def checkpoint(value: float) -> dict[str, Any]:
    return {"state": {f"w{i}": torch.full((1000,), value) for i in range(20)}, "steps": 3, "names": ["a", None]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints" / "000000.008.ckpt"


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def test_what_is_saved_is_loaded(path: Path) -> None:
    write_checkpoint(checkpoint(1.5), path)
    loaded = load_sealed(path)
    assert loaded["steps"] == 3
    assert torch.equal(loaded["state"]["w7"], torch.full((1000,), 1.5))
    assert names(path) == [path.name]


def test_it_reaches_the_disk_before_it_takes_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (happened.append("sync"), sync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (happened.append("rename"), replace(self, to)))
    write_checkpoint(checkpoint(1), path)
    assert happened == ["sync", "rename", "sync"]  # the file, its name, the folder


def test_it_streams(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No write is larger than one tensor with its header, so the file is never assembled in memory."""
    sizes = []

    class Watched:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            sizes.append(len(data))
            return self.file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    save = torch.save
    monkeypatch.setattr(torch, "save", lambda value, file: save(value, Watched(file)))
    write_checkpoint(checkpoint(1), path)
    assert max(sizes) < 10_000 < sum(sizes)


@pytest.mark.parametrize("byte", [0, 100, 20_000, 80_000, 85_000])
def test_a_full_disk_leaves_the_file_before_and_nothing_else(
    byte: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(checkpoint(1), path)
    for method in ("open", "replace"):
        monkeypatch.setattr(Path, method, getattr(Path, method))  # undone at the end
    in_save(1, byte, fill)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)"):
        write_checkpoint(checkpoint(2), path)
    assert names(path) == [path.name]
    assert load_sealed(path)["state"]["w0"][0] == 1


def test_too_little_room_is_noticed_before_anything_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda where: usage(10**9, 10**9, 1000))
    monkeypatch.setattr(torch, "save", lambda *arguments: pytest.fail("written"))
    with pytest.raises(RunError, match=r"it needs 1\.2 MiB and 0\.0 MiB are free.* output_dir="):
        write_checkpoint(checkpoint(1), path)
    assert names(path) == []


def test_the_required_bytes_suffice(path: Path) -> None:
    whole = torch.zeros(100_000)
    assert required_bytes([whole, {"part": whole[:10], "again": (whole,)}]) < 2 * 400_000 + 2**20
    write_checkpoint(checkpoint(1), path)
    assert 80_000 < path.stat().st_size < required_bytes(checkpoint(1))


def test_a_file_with_code_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    torch.save({"state": Path("x")}, path)
    with pytest.raises(Exception, match="contains code, which was not run"):
        load_sealed(path)


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_with_and_without_hard_links(links: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_checkpoint(checkpoint(1), path)
    for _ in range(2):
        link_checkpoint(path, "last.ckpt")
        assert names(path) == [path.name, "last.ckpt"]
    assert path.with_name("last.ckpt").samefile(path) == links
    write_checkpoint(checkpoint(2), path)
    link_checkpoint(path, "last.ckpt")
    assert load_sealed(path.with_name("last.ckpt"))["state"]["w0"][0] == 2
