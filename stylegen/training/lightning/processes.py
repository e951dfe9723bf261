"""Processes that end together: whichever dies, the others follow within seconds, and its message is the last word.

Lightning starts the processes of a machine from the first one. Its own observer kills the first process without a word
when another dies, and nobody tells the others when the first one does: they would wait in a collective for half an
hour. Here the first process watches those that it started, and they watch it. (torchrun and srun watch theirs
themselves.)
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from lightning.fabric.utilities import rank_zero_only
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from stylegen.errors import RunError, Stopped, UserError

_PARENT = "STYLEGEN_PARENT"
_LOOK_EVERY = 0.2  # seconds
_GRACE = 10.0  # seconds for the training to notice by itself, as it does unless a device keeps it waiting
_LAST_WAIT = 60.0  # seconds at the end, for processes that still close their files
_AGAIN = "the same command with the same output_dir continues from the last checkpoint"

_children: list[subprocess.Popen] = []  # of this process; they outlive a trainer where a run goes back and tries again


class Launcher(_SubprocessScriptLauncher):
    """Starts the other processes of this machine, unless torchrun or srun has, and runs the training in all of them.

    Raises:
        RunError: another process died; the message says which, and how.
    """

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._start()
        self.procs = _children  # those that Lightning ends when Ctrl-C is pressed twice
        _set_num_threads_if_needed(num_processes=self.num_processes)
        done = threading.Event()
        threading.Thread(target=_watch, args=(done,), daemon=True, name="watch-processes").start()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            cause = _cause(error)
            _end_children()
            if cause is not None:
                raise RunError(cause) from error
            raise
        finally:
            done.set()

    def _start(self) -> None:
        os.environ[_PARENT] = str(os.getpid())
        try:
            self._call_children_scripts()
        finally:
            del os.environ[_PARENT]
        if not _children:
            atexit.register(_wait_for_children)
        _children[:] = self.procs


def is_first_process() -> bool:
    """Whether this is rank 0 of the training, as the launcher says before processes have met."""
    return getattr(rank_zero_only, "rank", 0) == 0


def loss_of_a_process() -> str | None:
    """Which process of this machine is gone before its time, and how it ended; None while all is well."""
    parent = os.environ.get(_PARENT)
    if parent is not None and os.getppid() != int(parent):
        return f"the first process is gone; {_AGAIN}"
    statuses = [(child.poll(), number) for number, child in enumerate(_children, 1)]
    ended = [(status, number) for status, number in statuses if status is not None and failed(status)]
    if not ended:
        return None
    status, number = min(ended)  # one ended by a signal is the first cause: the others only lost their connection
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
    return f"process {number} of {len(_children) + 1} {how}; {_AGAIN}"


def failed(status: int) -> bool:
    """Whether a process that ended with `status` had an accident; 0, and 128 + a signal, are how it stops when told."""
    return status != 0 and status < 128


def _watch(done: threading.Event) -> None:
    """End this process when another one is gone, if the training itself does not come to an end over it."""
    while not done.wait(_LOOK_EVERY):
        message = loss_of_a_process()
        if message is not None and not done.wait(_GRACE):
            _end_children()
            print(f"error: {message}", file=sys.stderr, flush=True)
            os._exit(1)  # the main thread may be waiting for a device that will never answer


def _cause(error: BaseException) -> str | None:
    """What another process has to do with this error; None where it is this one's own."""
    if isinstance(error, UserError | RunError | Stopped) or not isinstance(error, RuntimeError):
        return None
    lost = isinstance(error, dist.DistError) or any(t in str(error) for t in ("by peer", "Broken pipe", "gloo"))
    until = time.monotonic() + (_GRACE / 2 if lost else 0)
    while (message := loss_of_a_process()) is None and time.monotonic() < until:
        time.sleep(_LOOK_EVERY)  # its connection ends before it does
    if message is None and lost:
        message = f"the connection to another process is gone ({str(error).splitlines()[0]}); {_AGAIN}"
    return message


def _end_children() -> None:
    for child in _children:
        if child.poll() is None:
            child.kill()  # one that waits in a collective hears nothing else
        child.wait()


def _wait_for_children() -> None:
    """At the end of this process: nobody is left behind."""
    until = time.monotonic() + _LAST_WAIT
    for child in _children:
        try:
            child.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.kill()
