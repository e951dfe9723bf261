"""One training at a time in a run folder: a lock that the operating system releases with the process.

The file `.lock` names host and process. A free lock that names a process is stale: the process has ended. Some network
file systems lock within one host only, so the holder also updates the file's time every few seconds; a file of another
host whose time changes is in use.
"""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from stylegen.errors import UserError
from stylegen.files import parse_json

HEARTBEAT = 15.0  # seconds between two updates of the file's time
_MISSED = 3  # heartbeats without an update, after which the other process counts as ended
_PATIENCE = 30.0  # seconds for the data workers of a process that was killed
_PAUSE = 0.2


class RunLock:
    """Context manager that holds the lock of a run folder.

    Raises:
        UserError: another training holds it; or the file cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / ".lock"
        self._lock = FileLock(self.path, thread_local=False)
        self._done = threading.Event()

    def __enter__(self) -> "RunLock":
        try:
            self._acquire()
            self._watch_another_host()
            self.path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror or error})",
                rule="it keeps two trainings out of one folder",
                fix="Name an output_dir that you may write to",
            ) from error
        self._done.clear()
        threading.Thread(target=self._beat, daemon=True, name="run-lock").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        if self.path.is_file():  # the folder may have been removed
            self.path.write_text("")
        self._lock.release()

    def _acquire(self) -> None:
        """Take the lock; waits for the children of a process that has ended."""
        until, announced = time.monotonic() + _PATIENCE, False
        while True:
            try:
                self._lock.acquire(blocking=False)
                return
            except Timeout:
                owner = _read(self.path)
                ours = owner.get("host") == socket.gethostname()
                if not ours or _is_alive(owner.get("pid")) or time.monotonic() > until:
                    raise self._in_use(owner) from None
            if not announced:
                print(f"note: waiting for the children of process {owner['pid']} in {self.root}", file=sys.stderr)
                announced = True
            time.sleep(_PAUSE)

    def _watch_another_host(self) -> None:
        """Raise UserError if another host, whose locks may be invisible here, still updates the file."""
        owner = _read(self.path)
        if owner.get("host") in (None, socket.gethostname()):
            return
        seconds = _MISSED * HEARTBEAT
        print(
            f"note: {self.root} was in use by process {owner.get('pid')} on {owner['host']}; waiting {seconds:g} s "
            "to see whether it still is",
            file=sys.stderr,
        )
        before, until = self.path.stat().st_mtime_ns, time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(_PAUSE, seconds))
            if self.path.stat().st_mtime_ns != before:
                self._lock.release()
                raise self._in_use(owner)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT):
            try:
                os.utime(self.path)
            except OSError:  # the folder was removed, or the network is down for a while
                continue

    def _in_use(self, owner: dict[str, Any]) -> UserError:
        who = f"process {owner.get('pid')} on {owner['host']}" if owner.get("host") else "another process"
        return UserError(
            f"output_dir={self.root}",
            rule=f"{who} is training in it",
            fix=f"Wait for it, name another output_dir, or end that process; if there is none, remove {self.path}",
        )


def check_unlocked(root: Path) -> None:
    """Raise UserError if a training holds the lock; writes nothing."""
    lock = RunLock(root)
    if lock.path.is_file() and _read(lock.path):
        try:
            with lock._lock.acquire(blocking=False):
                pass
        except Timeout:
            owner = _read(lock.path)
            if owner.get("host") != socket.gethostname() or _is_alive(owner.get("pid")):
                raise lock._in_use(owner) from None
        except OSError:  # a read-only folder
            return


def _read(path: Path) -> dict[str, Any]:
    """Host and process of the last holder; empty if it released the lock."""
    try:
        owner = parse_json(path.read_bytes()[:4096])
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid < 1 or os.name != "posix":
        return True  # unknown
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
