"""Requeued jobs, with a fake `scontrol` that records its calls."""

from pathlib import Path

import pytest

from stylegen.config.compose import compose_config
from stylegen.errors import UserError
from stylegen.training.lightning.slurm import requeue_job, slurm_environment
from tests.support.tiny import TINY_RUN


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "NTASKS", "NTASKS_PER_NODE", "NNODES", "JOB_NAME"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the fake scontrol's arguments; a file `status` beside it sets its exit status."""
    script = tmp_path / "bin" / "scontrol"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\nfolder=$(dirname "$0")\necho "$@" >> "$folder/notes"\necho refused >&2\n')
    with script.open("a") as file:
        file.write('test ! -e "$folder/fails"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    return script.with_name("notes")


def test_a_job_is_requeued(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert requeue_job() is None
    assert notes.read_text() == "requeue 4711\n"


def test_of_an_array_only_the_task_is_requeued(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("JOB_ID", "4711"), ("ARRAY_JOB_ID", "4700"), ("ARRAY_TASK_ID", "3")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert requeue_job() is None
    assert notes.read_text() == "requeue 4700_3\n"


def test_why_it_failed(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert requeue_job() == "SLURM_JOB_ID is not set"
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    notes.with_name("fails").touch()
    assert requeue_job() == "refused"
    monkeypatch.setenv("PATH", str(notes.parent.parent))
    assert "scontrol" in str(requeue_job())


def test_devices_and_nodes_come_from_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*TINY_RUN, "trainer=slurm"]
    alone = compose_config("train", overrides).trainer
    assert (alone.devices, alone.num_nodes, alone.requeue) == (1, 1, True)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    monkeypatch.setenv("SLURM_NNODES", "2")
    job = compose_config("train", overrides).trainer
    assert (job.devices, job.num_nodes) == (4, 2)


def test_the_environment_is_slurms_where_srun_started_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slurm_environment(1, 1) is None
    for name in ("NTASKS", "NTASKS_PER_NODE", "NNODES"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    environment = slurm_environment(1, 1)
    assert environment is not None
    assert not environment.auto_requeue
    with pytest.raises(UserError, match="trainer=slurm"):
        slurm_environment(2, 1)
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")  # an interactive session is not requeued
    assert slurm_environment(1, 1) is None
