"""Work in several processes: results in order, bounded memory, errors raised here, no process left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from stylegen.data.pool import ordered_map
from stylegen.errors import RunError, UserError


def double(number: int) -> int:
    if number == 7:
        raise UserError("seven", rule="not seven", fix="Use six")
    if number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 9:
        print("working", flush=True)
        time.sleep(1000)
    return 2 * number


def own_process(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("processes", [1, 2, None])
def test_results_come_in_order(processes):
    assert list(ordered_map(double, [3, 1, 2] * 10, processes)) == [6, 2, 4] * 10


@pytest.mark.parametrize("processes", [1, 2])
def test_errors_of_users_arrive(processes):
    with pytest.raises(UserError, match=r"seven: not seven\. Use six"):
        list(ordered_map(double, [1, 7], processes))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_process_that_dies_is_noticed():
    with pytest.raises(RunError, match="worker processes died"):
        list(ordered_map(double, [1, 8], 2))


class Long:
    """A job larger than a pipe's buffer."""

    def __init__(self) -> None:
        self.keys = [str(i) for i in range(50_000)]

    def __call__(self, number: int) -> int:
        return number


def test_long_jobs_of_scripts_that_cannot_be_imported_fail_instead_of_waiting():
    code = "from tests.data.test_pool import *\nlist(ordered_map(Long(), [1, 2], 2))"
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "worker processes died" in done.stderr


def test_only_a_few_wait():
    taken = []

    class Items(list):
        def __iter__(self):
            for item in range(100):
                taken.append(item)
                yield item

    results = ordered_map(abs, Items(range(100)), 2)
    next(results)
    assert len(taken) < 12
    results.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_their_parent():
    code = "from tests.data.test_pool import *\nlist(ordered_map(double, [9] * 4, 2))"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "working\n"
    children = [int(pid) for pid in _children(parent.pid)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60  # normally they end at once
    while any(os.path.exists(f"/proc/{pid}") and not _zombie(pid) for pid in children):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
        return file.read().split()


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_the_quota_of_a_container_limits_the_processes(monkeypatch):
    monkeypatch.setattr("stylegen.data.pool.available_cores", lambda: 1)
    assert set(ordered_map(own_process, range(200))) == {os.getpid()}
