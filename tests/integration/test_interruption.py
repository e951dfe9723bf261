"""Runs that are stopped, killed, or find no room: what is left is whole, and continuing loses nothing."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stylegen.__main__ import main
from tests.integration.test_train import assert_equal, lines
from tests.tiny import TINY_RUN

ROOT = Path(__file__).parents[2]
RUN = [*TINY_RUN, "regularizers=r1_path_length", "threads=1", "total_kimg=0.8", "log_every_kimg=0.08"]
RUN += ["checkpoint_every_kimg=0.08", "sample_every_kimg=0", "snapshot_every_kimg=0", "logger.mode=disabled"]


def state(folder: Path) -> dict:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {part: checkpoint[part] for part in ("state_dict", "optimizer_states", "clock")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    return folder


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "train.py"), *RUN, f"output_dir={folder}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=dict(os.environ))


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_ended_from_outside_continues_bit_for_bit(
    number: signal.Signals, status: int, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start(folder)
    wait_for(folder / "checkpoints" / "000000.160.ckpt", process)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status, error
    if number != signal.SIGKILL:
        assert f"output_dir={folder} continues" in error
    assert state(folder)["clock"]["images_seen"] < 800
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    assert_equal(state(folder), state(undisturbed))
    assert lines(folder) == lines(undisturbed)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(["train", *RUN, f"output_dir={folder}", "total_kimg=0.4"]) == 0
    newest = folder / "checkpoints" / "000000.400.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])  # last.ckpt is another name of the same file
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    assert "last.ckpt cannot be read" in capsys.readouterr().err
    assert_equal(state(folder), state(undisturbed))
    assert lines(folder) == lines(undisturbed)


def test_only_the_newest_checkpoints_are_kept(undisturbed: Path) -> None:
    names = sorted(p.name for p in (undisturbed / "checkpoints").iterdir())
    assert names == ["000000.720.ckpt", "000000.800.ckpt", "last.ckpt"]


def test_a_full_disk_ends_the_run_clearly_and_leaves_the_checkpoint_before(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lightning as L

    folder, save = tmp_path / "run", L.Trainer.save_checkpoint

    def full(self: L.Trainer, path: Path, *arguments: object) -> None:
        if "000000.240" in str(path):
            Path(path).write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, path)

    monkeypatch.setattr(L.Trainer, "save_checkpoint", full)
    assert main(["train", *RUN, f"output_dir={folder}"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list(folder.rglob("*.partial"))
    assert state(folder)["clock"]["images_seen"] == 160
    monkeypatch.undo()
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    assert_equal(state(folder), state(undisturbed))


def test_a_time_limit_saves_and_ends_well(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main(["train", *RUN, f"output_dir={folder}", "max_hours=0"]) == 0
    assert "max_hours reached: stopped at 0.008 kimg" in capsys.readouterr().err
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    assert_equal(state(folder), state(undisturbed))
