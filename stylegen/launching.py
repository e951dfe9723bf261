"""Runs one command in several processes on this machine, through torch's elastic agent (as torchrun does).

The parent starts the workers and terminates all of them when one fails. Each worker has its own process group, so that
Ctrl-C reaches the parent only; the parent records the signal in `StopSignals`, which all workers read. A worker records
SIGTERM there too: a service manager sends it to every process. The agent also sends it, after another worker has
failed; then the next collective ends this worker, or SIGKILL after 30 seconds if it waits for a GPU. Processes started
by torchrun or srun use none of this.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist

from stylegen.cpus import default_threads, keep_freed_memory
from stylegen.distributed import LostConnection, started_by_torchrun
from stylegen.errors import RunError, Stopped, UserError

T = TypeVar("T")

REQUEUE = getattr(signal, "SIGUSR1", None)  # None on Windows
_KNOWN = (UserError, RunError, OSError)  # reported by the commands without a traceback
_AT_ONCE = -1  # in place of a signal's number: workers do not save
_CAUSE_FIRST = 10.0  # seconds; the agent ends a worker that lost its connection within 0.1
_LOGGERS = ("torch.distributed.elastic", "torch.multiprocessing.spawn", "torch.distributed.launcher")


class StopSignals:
    """Records SIGTERM and SIGINT, and SIGUSR1 with `requeue`, instead of ending the process.

    Args:
        requeue: record SIGUSR1 too.
        shared: share with the workers of `launch`; pass them this object as an argument.
    """

    def __init__(self, requeue: bool = False, shared: bool = False) -> None:
        self._handled = [signal.SIGTERM, signal.SIGINT] + ([REQUEUE] if requeue and REQUEUE else [])
        context = multiprocessing.get_context("spawn")
        self._noted: Any = context.RawValue("i", 0) if shared else SimpleNamespace(value=0)
        self._previous: dict[int, Any] = {}
        self._receiver = os.getpid()
        self.noted_here = False  # by this worker

    @property
    def received(self) -> int | None:
        """The number of the latest signal."""
        return self._noted.value or None

    def install(self) -> None:
        """Set the handlers; does nothing outside the main thread. May be called repeatedly."""
        if threading.current_thread() is not threading.main_thread():
            return
        in_worker = os.getpid() != self._receiver
        for number in self._handled:
            if in_worker and number == signal.SIGINT:
                continue  # it ends a worker, see `_worker`
            previous = signal.signal(number, self._note_in_worker if in_worker else self._note)
            self._previous.setdefault(number, previous)

    def restore(self) -> None:
        """Restore the handlers from before the first `install`."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def __enter__(self) -> "StopSignals":
        self.install()
        return self

    def __exit__(self, *exception: object) -> None:
        self.restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler; a second SIGINT interrupts at once."""
        if self._noted.value == number == signal.SIGINT:
            self._noted.value = _AT_ONCE
            raise KeyboardInterrupt
        self._noted.value = number
        # Not `print`, which the signal may have interrupted.
        with contextlib.suppress(OSError):  # a closed pipe
            os.write(2, f"{signal.Signals(number).name}: will save a checkpoint and stop\n".encode())

    def _note_in_worker(self, number: int, frame: FrameType | None) -> None:
        """Signal handler; a second signal ends the worker, and any one after a second SIGINT in the parent."""
        if self.noted_here or self._noted.value == _AT_ONCE:
            os._exit(1)
        self.noted_here, self._noted.value = True, number


def launches(devices: int) -> bool:
    """Whether this process has to start workers: torchrun and srun start all processes themselves."""
    return devices > 1 and "RANK" not in os.environ and not started_by_torchrun() and not dist.is_initialized()


def launch(work: Callable[..., T], *arguments: Any, processes: int, hint: str) -> T:
    """Run `work(*arguments)` in `processes` new processes, and return the result of rank 0.

    `stylegen.distributed.process_group` joins them inside `work`.

    Args:
        work: a function of a module; workers import the module. A script that calls this needs the usual
            `if __name__ == "__main__":`.
        arguments: anything that can be pickled.
        hint: advice on continuing after a worker has died, for the error.

    Raises:
        UserError, RunError, OSError, Stopped: what `work` raised on any rank.
        RunError: a worker died; the others have been terminated.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    reports = multiprocessing.get_context("spawn").SimpleQueue()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # the system chooses a free port, which the agent's store keeps
        local_addr="localhost",
        max_restarts=0,
        start_method="spawn",
        signals_to_handle="",  # keep the parent's handlers
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    try:
        with _quiet():
            outcome = elastic_launch(config, _worker)(work, arguments, default_threads(processes), reports)[0]
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        status = failure.exitcode
        if status > 0 and not reports.empty():
            raise reports.get() from error  # the first to fail; the others lost their connection as a result
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
        raise RunError(f"process {number} of {processes} {how}; {hint}") from error
    if isinstance(outcome, Stopped):
        raise outcome
    return outcome


def _worker(work: Callable[..., T], arguments: tuple[Any, ...], threads: int, reports: Any) -> T | Stopped:
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # out of the terminal's foreground group
    # torch sends SIGINT when the parent dies, which must also end a worker that waits in a collective.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for child processes and Lightning
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        return work(*arguments)
    except Stopped as stopped:
        return stopped
    except LostConnection as error:
        if not any(isinstance(argument, StopSignals) and argument.noted_here for argument in arguments):
            time.sleep(_CAUSE_FIRST)  # the agent finds the worker that ended first, and terminates this one
        reports.put(error)
    except _KNOWN as error:
        reports.put(error)
    except Exception:
        traceback.print_exc()
    sys.exit(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Context manager: hides the agent's log, and restores the environment variable that the agent sets."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.propagate for logger in loggers]
    handler, name = logging.NullHandler(), "TORCHELASTIC_SIGNALS_TO_HANDLE"
    variable = os.environ.get(name)
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
        os.environ.pop(name, None)
        if variable is not None:
            os.environ[name] = variable
