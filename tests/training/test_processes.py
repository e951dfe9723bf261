"""Processes that come, go and change their number."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from stylegen.training import processes
from tests.training.change_processes import BEGINNING, STEPS, train
from tests.training.two_processes import assert_same_state

ROOT = Path(__file__).parents[2]


def test_a_checkpoint_continues_on_another_number_of_processes(tmp_path: Path) -> None:
    """From 1 to 2 and from 2 to 1: as one process all the way; records, which are float32, included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, on a trainer without the settings of the command
        train(tmp_path, 1, BEGINNING, save=tmp_path / "one.ckpt")
        command = [sys.executable, "-m", "tests.training.change_processes", str(tmp_path)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
        (tmp_path / "alone").mkdir()
        alone = train(tmp_path / "alone", 1, STEPS)
        two_then_one = train(tmp_path, 1, STEPS, load=tmp_path / "two.ckpt")
    one_then_two = torch.load(tmp_path / "result.pt", weights_only=True)
    for changed in (one_then_two, two_then_one):
        assert_same_state(changed["state"], alone["state"])
        assert changed["record"] == pytest.approx(alone["record"], rel=1e-5)


class Child:
    def __init__(self, status: int | None) -> None:
        self.status = status

    def poll(self) -> int | None:
        return self.status


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([None, 0, 143, 130], None),
        ([None, 1], "process 2 of 3 failed with status 1"),
        ([1, -9, 1], "process 2 of 4 was ended by SIGKILL"),  # the others only lost their connection
    ],
)
def test_the_process_that_ended_first_is_named(
    statuses: list[int | None], message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_children", [Child(status) for status in statuses])
    found = processes.loss_of_a_process()
    assert found is None if message is None else str(found).startswith(message)


def test_a_process_notices_that_the_first_one_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_PARENT", str(os.getppid()))
    assert processes.loss_of_a_process() is None
    monkeypatch.setenv("STYLEGEN_PARENT", "1" if os.getppid() != 1 else "2")
    assert "first process is gone" in str(processes.loss_of_a_process())
