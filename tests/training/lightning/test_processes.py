"""Processes that come, go and change their number."""

import os

import pytest

from stylegen.training.lightning import processes


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
