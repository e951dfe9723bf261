"""The lock of a run folder, which one training process holds; the operating system releases it when the process ends.

The file `.lock` holds host and process id. A free lock with a process id is stale: that process has ended. Some network
file systems lock within one host only, so the holder also updates the file's modification time every few seconds: a
lock of another host is in use while that time changes.
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

HEARTBEAT = 15.0  # seconds between updates of the file's modification time
_MISSED = 3  # heartbeats without an update before the other process counts as ended
_PATIENCE = 30.0  # seconds for the data workers of a killed process to end
_PAUSE = 0.2


class RunLock:
    """Context manager: holds the lock of a run folder.

    Raises:
        UserError: another process holds the lock, or the file cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / ".lock"
        self._lock = FileLock(self.path, thread_local=False)
        self._done = threading.Event()

    def __enter__(self) -> "RunLock":
        try:
            self._acquire()
            self._check_other_host()
            self.path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror or error})",
                rule="training needs this lock file",
                fix="Use a writable output_dir",
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

    def _check_other_host(self) -> None:
        """Raise UserError if another host still updates the file; its lock may be invisible here."""
        owner = _read(self.path)
        if owner.get("host") in (None, socket.gethostname()):
            return
        seconds = _MISSED * HEARTBEAT
        print(
            f"note: {self.root} was in use by process {owner.get('pid')} on {owner['host']}; waiting {seconds:g} s "
            "to check whether it still is",
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
            except OSError:  # the folder was removed, or the network is down
                continue

    def _in_use(self, owner: dict[str, Any]) -> UserError:
        who = f"process {owner.get('pid')} on {owner['host']}" if owner.get("host") else "another process"
        return UserError(
            f"output_dir={self.root}",
            rule=f"{who} is training in it",
            fix=f"Wait for it, use another output_dir, or end that process; if it no longer exists, remove {self.path}",
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
