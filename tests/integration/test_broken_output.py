"""Full disk, removed folder, closed pipe: one message, and checkpoints stay intact."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from stylegen.__main__ import main
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.training.phases import Phase
from tests.support.disturbed import Limited, at_phase, fill
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "regularizers=r1", "logger.mode=disabled", "total_kimg=0.048"]
RUN += [f"{what}_every_kimg=0.016" for what in ("log", "sample", "snapshot", "checkpoint")]


def train(folder: Path, *overrides: str) -> int:
    return main(["train", *RUN, f"output_dir={folder}", *overrides])


def images_seen(folder: Path) -> int:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["clock"]["images_seen"]


def full_for_images(monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def limited(self: Image.Image, path: Path, **options: Any) -> None:
        if "000000.032" in str(path):
            path.write_bytes(b"part of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", limited)


def full_for_records(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, counts = Path.open, iter(range(1, 100))

    def limited(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(self, mode, *arguments, **options)
        return TextLimited(file) if self.name == "metrics.jsonl" and mode == "a" and next(counts) == 2 else file

    monkeypatch.setattr(Path, "open", limited)


class TextLimited(Limited):
    """The disk is full after half a line."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, 0, fill)

    def write(self, data: str) -> int:
        self.file.write(data[:20])
        self.file.flush()
        self.accident()
        return 0


@pytest.mark.parametrize(
    ("plant", "name"), [(full_for_images, "samples/000000.032.png"), (full_for_records, "metrics.jsonl")]
)
def test_a_full_disk(
    plant: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        plant(patch)
        assert train(folder) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: {folder / name} cannot be used (No space left on device); ")
    assert f"{folder / 'checkpoints' / 'last.ckpt'} is intact" in message
    assert images_seen(folder) == 16
    assert not list(folder.rglob("*.partial"))
    assert train(folder) == 0
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3


def test_a_run_folder_that_is_removed_during_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(Phase, "backward", Phase.backward)
    at_phase(7, lambda: shutil.rmtree(folder))
    assert train(folder) == 1
    assert f"error: the run folder {folder} was deleted during training" in capsys.readouterr().err
    assert not folder.exists()


def test_a_damaged_card_of_a_finished_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    assert train(folder) == 0
    RunFolder(folder).metric_card(48).write_text('{"metrics": {"fid"')
    assert train(folder) == 0
    assert "000000.048.metrics.json is damaged" in caplog.text
    assert "python -m stylegen evaluate" in capsys.readouterr().out


@pytest.fixture
def closed_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output and error as in `2>&1 | head` after `head` has ended."""
    streams = []
    for name in ("stdout", "stderr"):
        reader, writer = os.pipe()
        os.close(reader)
        streams.append(os.fdopen(writer, "w", buffering=1))
        monkeypatch.setattr(sys, name, streams[-1])
    yield
    for stream in streams:
        stream.close()


@pytest.mark.usefixtures("closed_pipe")
def test_a_closed_pipe_ends_no_training(tmp_path: Path) -> None:
    assert train(tmp_path / "run") == 0
    assert images_seen(tmp_path / "run") == 48
    assert "0.048/0.048 kimg" in (tmp_path / "run" / "log.txt").read_text()


def test_another_broken_pipe_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(config: Any) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("stylegen.verbs.bench.run", broken)
    assert main(["bench"]) == 1
    assert capsys.readouterr().err == "error: Broken pipe\n"


@pytest.mark.usefixtures("closed_pipe")
def test_a_closed_pipe_changes_no_status() -> None:
    assert main(["--help"]) == 0
    assert main(["bench", "what=nothing"]) == 2


def test_a_folder_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(self: RunFolder) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(self.root))

    monkeypatch.setattr(RunFolder, "checkpoints", denied)
    assert train(tmp_path / "run") == 2
    assert f"{tmp_path / 'run'} cannot be read (Permission denied)" in capsys.readouterr().err


def test_another_launchers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert train(tmp_path / "run") == 2
    assert "WORLD_SIZE=2 RANK=0 in the environment" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
