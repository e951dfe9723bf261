"""Workers on this machine: results, exceptions, and how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from stylegen.distributed import broadcast_from_rank0, process_group, rank, sum_over_ranks, world_size
from stylegen.errors import RunError, Stopped, UserError
from stylegen.launching import StopSignals, launch

HINT, ROOT = "try again", Path(__file__).parents[1]


def work(case: str, folder: Path, stop: StopSignals | None = None) -> str:
    with process_group(torch.device("cpu")):
        (folder / f"pid{rank()}").write_text(str(os.getpid()))
        total = sum_over_ranks(torch.tensor(rank() + 1)).item()
        if case == "user error" and rank() == 1:
            raise UserError("a=1", rule="a is even", fix="Use a=2")
        if case == "killed" and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if case in ("parent", "worker"):
            assert stop is not None
            with stop:
                if rank() == 1:
                    os.kill(os.getppid() if case == "parent" else os.getpid(), signal.SIGTERM)
                while stop.received is None:
                    time.sleep(0.01)
            raise Stopped("saved" if rank() == 0 else "", 128 + stop.received)
        if case == "orphans":
            os.write(1, b"ready\n")  # in one piece; lines of two processes that `print` can be mixed
            dist.recv(torch.zeros(1), src=1 - rank())  # each waits for the other, where Python handles no signal
        if case != "return":
            sum_over_ranks(torch.tensor(1))  # rank 0 waits for rank 1
        return f"{broadcast_from_rank0(lambda: rank())} {world_size()} {total} {torch.get_num_threads()}"


def pids(folder: Path) -> list[int]:
    return [int((folder / f"pid{number}").read_text()) for number in range(2)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_result_comes_from_rank_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launch(work, "return", tmp_path, processes=2, hint=HINT) == "0 2 3 1"


def test_a_user_error_of_one_rank_ends_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"a=1: a is even\. Use a=2"):
        launch(work, "user error", tmp_path, processes=2, hint=HINT)
    assert capfd.readouterr().err == ""


def test_a_killed_rank_ends_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with pytest.raises(RunError, match="process 1 of 2 was ended by SIGKILL; try again"):
        launch(work, "killed", tmp_path, processes=2, hint=HINT)
    assert time.monotonic() - begun < 30
    assert capfd.readouterr().err == ""
    assert not any(map(is_alive, pids(tmp_path)))


@pytest.mark.parametrize("receiver", ["parent", "worker"])
def test_workers_stop_together(tmp_path: Path, capfd: pytest.CaptureFixture[str], receiver: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="saved") as stopped, StopSignals(shared=True) as stop:
        launch(work, receiver, tmp_path, stop, processes=2, hint=HINT)
    assert stopped.value.status == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    message = "SIGTERM: will save a checkpoint and stop\n"
    assert capfd.readouterr().err == (message if receiver == "parent" else "")


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.test_launching", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            assert [parent.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
            assert all(map(is_alive, pids(tmp_path)))
        finally:
            parent.kill()
    until = time.monotonic() + 10
    while any(map(is_alive, pids(tmp_path))) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_alive, pids(tmp_path)))


if __name__ == "__main__":
    launch(work, "orphans", Path(sys.argv[1]), processes=2, hint=HINT)
