"""Runs that are stopped, killed, or run out of disk space: files stay intact, and continuing loses nothing.

`tests/support/moments.py` does this at twenty random moments; docs/interruptions.md has its results.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.distributed import process_group
from stylegen.launching import launch
from stylegen.runs import run
from stylegen.training.lightning.fit import ObserverCallback
from stylegen.training.phases import Phase
from tests.support.disturbed import armed, count_collectives, disturb
from tests.support.moments import alive, content, differences, environment
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "regularizers=r1_path_length", "augment=ada", "augment.speed_kimg=0.1", "data.use_labels=true"]
RUN += ["total_kimg=0.16", "log_every_kimg=0.04", "checkpoint_every_kimg=0.024", "logger.mode=disabled"]
RUN += ["sample_every_kimg=0.08", "snapshot_every_kimg=0.08"]
TWO = ["trainer.accelerator=cpu", "trainer.devices=2"]


def train(folder: Path, *overrides: str) -> int:
    return main(["train", *RUN, f"output_dir={folder}", *overrides])


def launched(monkeypatch: pytest.MonkeyPatch, work: Callable[..., Any], *arguments: Any) -> None:
    """Workers of this process run `work(*arguments, ...)` in place of their part of the training, which follows."""
    monkeypatch.setattr(run, "launch", lambda *rest, **options: launch(work, *arguments, *rest, **options))


def continue_and_repeat(reference: Path, work: Callable[..., Any], *arguments: Any) -> Any:
    """Work of one of two processes, and then a whole run, which prints its collectives: starting processes takes longer
    than training. The whole run is as with torchrun, where each process runs the command."""
    with process_group(torch.device("cpu")):
        result = work(*arguments)
        count_collectives(43)
        assert train(reference, *TWO) == 0
    return result


def images_seen(folder: Path, name: str = "last.ckpt") -> int:
    return torch.load(folder / "checkpoints" / name, weights_only=True)["clock"]["images_seen"]


def assert_same(folder: Path, reference: Path) -> None:
    found = list(differences(content(folder), content(reference)))
    assert len(found) > 400
    assert not any(found), [f for f in found if f]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    torch.set_num_threads(1)
    assert train(folder) == 0
    return folder


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, int], None]:
    """Installs a disturbance in this process; removed at the end of the test, or by `monkeypatch.undo`."""
    for owner, name in ((Phase, "backward"), (Path, "open"), (Path, "replace")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    return disturb


@pytest.mark.parametrize(("kind", "status"), [("sigterm", 143), ("sigint", 130)])
def test_a_signal_in_the_middle_of_a_step(
    kind: str,
    status: int,
    undisturbed: Path,
    tmp_path: Path,
    disturbed: Callable[[str, int, int], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder, before = tmp_path / "run", signal.getsignal(signal.SIGTERM)
    disturbed(kind, 18, 0)
    assert train(folder) == status
    monkeypatch.undo()
    error = capfd.readouterr().err
    assert f"{kind.upper()}: will save a checkpoint and stop" in error
    assert f"output_dir={folder} continues" in error
    assert signal.getsignal(signal.SIGTERM) == before
    assert 0 < images_seen(folder) < 160
    assert train(folder) == 0
    assert_same(folder, undisturbed)


def test_a_signal_while_lightning_prepares(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM arrives after Lightning has installed its handler and before ours replaces it."""
    folder, prepared = tmp_path / "run", ObserverCallback.on_train_start

    def on_train_start(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        prepared(*arguments)

    monkeypatch.setattr(ObserverCallback, "on_train_start", on_train_start)
    assert train(folder) == 143
    monkeypatch.undo()
    assert f"output_dir={folder} continues" in capfd.readouterr().err
    assert images_seen(folder) == 8
    assert train(folder) == 0
    assert_same(folder, undisturbed)


def test_sigkill_during_a_save(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tests.support.disturbed", "kill_save", "0", "3", "30000"]
    done = subprocess.run([*command, *RUN, f"output_dir={folder}"], env=environment(), timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(folder.rglob("*.partial"))
    assert images_seen(folder) == 48
    assert train(folder) == 0
    assert_same(folder, undisturbed)


def test_a_full_disk_ends_the_run_clearly_and_leaves_the_checkpoint_before(
    undisturbed: Path,
    tmp_path: Path,
    disturbed: Callable[[str, int, int], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    disturbed("full", 3, 30_000)
    assert train(folder) == 1
    monkeypatch.undo()
    assert "000000.072.ckpt cannot be written (No space left on device)" in capsys.readouterr().err
    assert not list(folder.rglob("*.partial"))
    assert images_seen(folder) == 48
    assert train(folder) == 0
    assert_same(folder, undisturbed)


def test_one_of_two_processes_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other process ends with a message, and a continued run is bit-identical to an undisturbed one."""
    reference, folder, pids = tmp_path / "reference", tmp_path / "run", tmp_path / "pids"
    pids.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("DISTURBED_PIDS", str(pids))
        launched(patch, armed, ["sigkill", "1", "30", "0"])
        assert train(folder, *TWO) == 1
    assert capfd.readouterr().err.splitlines()[-1].startswith("error: process 1 of 2 was ended by SIGKILL")
    assert len(list(pids.iterdir())) == 2
    assert not any(alive(int(pid.read_text())) for pid in pids.iterdir())
    assert images_seen(folder) == 96

    launched(monkeypatch, continue_and_repeat, reference)
    assert train(folder, *TWO) == 0
    printed = capfd.readouterr()
    assert_same(folder, reference)
    assert printed.out.count("snapshot  ") == 2  # one of each run: the second process writes no result
    # No other collective per step: one gradient per phase, the mean of w and the signs' sum a step, the
    # path lengths, and one agreement on signals.
    counts = [json.loads(line.split(" ", 1)[1]) for line in printed.err.splitlines() if line.startswith("collectives")]
    assert len(counts) == 2
    assert counts[0] == counts[1]
    assert "broadcast" not in counts[0]
    assert counts[0]["all_reduce"] <= 43 + 3 * 18


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert train(folder, "total_kimg=0.096", "sample_every_kimg=0.08") == 0
    newest = folder / "checkpoints" / "000000.096.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])  # last.ckpt is a hard link to the same file
    for late in folder.glob("s*/000000.096.*"):  # the end of the shorter run; the longer one saves nothing there
        late.unlink()
    assert train(folder) == 0
    assert "last.ckpt is damaged" in capsys.readouterr().err
    assert_same(folder, undisturbed)


def test_only_the_newest_checkpoints_are_kept(undisturbed: Path) -> None:
    names = sorted(p.name for p in (undisturbed / "checkpoints").iterdir())
    assert names == ["000000.144.ckpt", "000000.160.ckpt", "last.ckpt"]


def test_a_time_limit_saves_and_ends_well(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert train(folder, "max_hours=0") == 0
    assert "max_hours reached: stopped at 0.008 kimg" in capsys.readouterr().err
    assert train(folder) == 0
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("works", [True, False])
def test_a_slurm_job_goes_back_into_the_queue(
    works: bool,
    undisturbed: Path,
    tmp_path: Path,
    disturbed: Callable[[str, int, int], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder, tools = tmp_path / "run", tmp_path / "bin"
    tools.mkdir()
    if works:
        (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tools}/notes\n')
        (tools / "scontrol").chmod(0o755)
    names = {"JOB_ID": "4711", "NTASKS": "1", "NTASKS_PER_NODE": "1", "NNODES": "1", "PROCID": "0", "LOCALID": "0"}
    with monkeypatch.context() as job:
        job.setenv("PATH", str(tools))
        for name, value in (names | {"NODEID": "0"}).items():
            job.setenv(f"SLURM_{name}", value)
        disturbed("sigusr1", 18, 0)
        assert train(folder, "trainer=slurm", "trainer.accelerator=cpu") == (0 if works else 128 + signal.SIGUSR1)
    monkeypatch.undo()
    error = capfd.readouterr().err
    assert ("the job was requeued" if works else "The checkpoint is safe") in error
    assert not works or (tools / "notes").read_text() == "requeue 4711\n"
    assert 0 < images_seen(folder) < 160
    assert not list(folder.rglob("hpc_ckpt*"))  # Lightning's own mechanism
    if works:
        assert train(folder, "trainer=slurm") == 0
        assert_same(folder, undisturbed)


def test_a_job_that_comes_back_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *RUN, "trainer=slurm"]) == 2
    assert "Add output_dir=FOLDER" in capsys.readouterr().err
