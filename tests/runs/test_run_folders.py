"""What a training may remove, continue and share: no data, no records without a checkpoint, one run at a time."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.errors import UserError
from stylegen.images import write_png
from stylegen.runs import run_lock
from stylegen.runs.run_lock import RunLock, check_unlocked
from tests.support.runs import content
from tests.support.tiny import TINY_RUN

EVERY_16 = [f"{what}_every_kimg=0.016" for what in ("log", "sample", "snapshot", "checkpoint")]
TINY = [*TINY_RUN, *EVERY_16, "logger.mode=disabled", "regularizers=r1"]
ON_IMAGES = [setting for setting in TINY if setting != "data.resolution=16"] + ["experiment=openmoji", "data=images"]


def train(*overrides: str | Path) -> int:
    return main(["train", *TINY, *map(str, overrides)])


def images(folder: Path, count: int = 8) -> Path:
    for i in range(count):
        write_png(folder / f"{i:06d}.000.png", torch.full((3, 16, 16), i, dtype=torch.uint8))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 48 images with checkpoints at 32 and 48."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    torch.set_num_threads(1)
    assert train(f"output_dir={folder}", "total_kimg=0.048") == 0
    return folder


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(run, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


@pytest.mark.parametrize(("data", "output"), [("samples", ""), ("", "run"), ("", ""), ("samples", "link")])
def test_data_and_run_folder_lie_apart(
    data: str, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = tmp_path / "top"
    images(top / "samples")
    (tmp_path / "top" / "link").symlink_to(top)
    before = content(top)
    assert main(["train", *ON_IMAGES, f"data.path={top / data}", f"output_dir={top / output}"]) == 2
    assert "samples would mix with training images" in capsys.readouterr().err
    assert content(top) == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tmp_path / "samples")
    (tmp_path / "metrics.jsonl").write_text("mine\n")
    (tmp_path / "config.yaml").write_text("lr: 0.1\n")
    before = content(tmp_path)
    assert train(f"output_dir={tmp_path}", "total_kimg=0.008") == 2
    assert "the folder is not empty and holds no run" in capsys.readouterr().err
    assert content(tmp_path) == before


def test_a_new_attempt_removes_results_and_nothing_else(run: Path, copied: Path) -> None:
    folder = RunFolder(copied)
    for name in ("samples/1.png", "samples/000001.000.jpg", "snapshots/0001.safetensors", "notes.txt"):
        (copied / name).write_bytes(b"mine")
    folder.prepare(new=True)
    left = {p.name for p in copied.rglob("*") if p.is_file() and "checkpoints" not in p.parts}
    assert left >= {"1.png", "000001.000.jpg", "0001.safetensors", "notes.txt", "config.yaml"}
    assert not {p.name for p in (run / "samples").iterdir()} & left
    assert not folder.metrics.exists()


@pytest.mark.parametrize("loss", ["removed", "dangling"])
def test_the_newest_whole_checkpoint_takes_the_place_of_a_lost_one(
    loss: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = copied / "checkpoints" / "last.ckpt"
    last.unlink()
    if loss == "dangling":
        last.symlink_to(copied / "nowhere.ckpt")
    before = (copied / "metrics.jsonl").read_bytes()
    assert train(f"output_dir={copied}", "total_kimg=0.064") == 0
    assert "last.ckpt is missing; using 000000.048.ckpt" in capsys.readouterr().err
    assert (copied / "metrics.jsonl").read_bytes().startswith(before)
    assert last.is_file()


def test_a_run_folder_is_continued_by_name_without_its_last_checkpoint(copied: Path) -> None:
    (copied / "checkpoints" / "last.ckpt").unlink()
    assert main(["train", f"resume={copied}", f"output_dir={copied}", "total_kimg=0.056"]) == 0
    assert json.loads((copied / "metrics.jsonl").read_text().splitlines()[-1])["kimg"] == 0.056


def test_a_checkpoint_that_cannot_be_read_now_is_not_given_up(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise an older one would replace it, and it would be deleted."""
    opened = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if self.name == "last.ckpt":
            raise PermissionError(13, "Permission denied")
        return opened(self, mode, *arguments, **options)

    before = content(copied)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert train(f"output_dir={copied}", "total_kimg=0.064") == 2
    assert "last.ckpt cannot be read (Permission denied)" in capsys.readouterr().err
    assert content(copied) == before


@pytest.mark.parametrize("left_out", [["checkpoints"], ["checkpoints", ".saved"], [".saved", "config"]])
def test_records_without_a_checkpoint_are_no_new_run(
    left_out: list[str], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if the mark `.saved` was lost on copying, or not written by an older version."""
    for path in (copied / "checkpoints").iterdir():
        path.unlink()
    if ".saved" in left_out:
        (copied / ".saved").unlink()
    if "config" in left_out:
        config = copied / "config.yaml"
        config.write_text(config.read_text().replace("\ncheckpoint_every_kimg: 0.016", "\ncheckpoint_every_kimg: 0"))
    before = content(copied)
    assert train(f"output_dir={copied}", "total_kimg=0.064") == 2
    assert "the run has reached 0.048 kimg, and checkpoints/ holds no checkpoint" in capsys.readouterr().err
    assert content(copied) == before


def test_an_attempt_before_its_first_checkpoint_begins_again(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = [p for kimg in ("032", "048") for p in copied.rglob(f"000000.{kimg}.*")]
    for path in {*late, *(copied / "checkpoints").iterdir(), copied / ".saved"}:
        path.unlink()
    (copied / "metrics.jsonl").write_text((copied / "metrics.jsonl").read_text().splitlines()[0] + "\n")
    assert train(f"output_dir={copied}", "total_kimg=0.016") == 0
    assert "holds an attempt without a checkpoint; training starts at 0 kimg again" in capsys.readouterr().err
    records = [json.loads(line) for line in (copied / "metrics.jsonl").read_text().splitlines()]
    assert [record["kimg"] for record in records] == [0.016]


HOLD = "import sys, time; from pathlib import Path; from stylegen.runs.run_lock import RunLock\n"
HOLD += "with RunLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)"


@pytest.fixture
def holder(copied: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(copied)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_two_trainings_do_not_share_a_folder(
    holder: subprocess.Popen[str], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(copied)
    assert train(f"output_dir={copied}", "total_kimg=0.064") == 2
    error = capsys.readouterr().err
    assert f"process {holder.pid} on {socket.gethostname()} is training in it" in error
    assert content(copied) == before
    holder.kill()
    holder.wait()
    assert json.loads((copied / ".lock").read_text())["pid"] == holder.pid
    assert train(f"output_dir={copied}", "total_kimg=0.064") == 0  # stale: the process is gone
    assert (copied / ".lock").read_text() == ""


def test_a_training_that_saved_before_the_lock_was_taken_is_noticed(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another training may have run between choosing the checkpoint and taking the lock."""
    enter = RunLock.__enter__

    def late(lock: RunLock) -> RunLock:
        os.utime(copied / "checkpoints" / "last.ckpt", ns=(1, 1))
        return enter(lock)

    before = (copied / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(RunLock, "__enter__", late)
    assert train(f"output_dir={copied}", "total_kimg=0.064") == 2
    assert "another process has saved a checkpoint there" in capsys.readouterr().err
    assert (copied / "metrics.jsonl").read_bytes() == before


def test_a_host_whose_locks_are_invisible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that is still updated is in use; otherwise it is stale."""
    monkeypatch.setattr(run_lock, "HEARTBEAT", 0.1)
    lock = tmp_path / ".lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 7}))
    moments = iter([1, 1, 2, 3, 4, 5])
    stat, sleep = Path.stat, time.sleep
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: (os.utime(lock, ns=(0, next(moments))), sleep(0)))
        with pytest.raises(UserError, match="process 7 on elsewhere is training in it"), RunLock(tmp_path):
            pass
    assert Path.stat is stat
    with RunLock(tmp_path):
        assert json.loads(lock.read_text()) == {"host": socket.gethostname(), "pid": os.getpid()}
    check_unlocked(tmp_path)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "not an empty string"),
        ("/", "not empty and holds no run"),
        ("~nosuchuser/run", "no user nosuchuser"),
        ("x" * 300, "at most 255 bytes in each name"),
        ("/".join(["y" * 200] * 20), "at most 3840 bytes"),
        ("/proc/run", "cannot be"),
        ("{file}", "it is a file"),
        ("{file}/run", "cannot be"),
    ],
)
def test_output_folders_that_cannot_be(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert train(f"output_dir={output.format(file=tmp_path / 'file')}", "total_kimg=0.008") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
