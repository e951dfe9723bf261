"""One process at a time: a lock on a file that ends with the process, however it ends."""

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stylegen.data.cache import cache_folder
from stylegen.errors import UserError

_PAUSE_SECONDS = 0.2
_QUIET_SECONDS = 2.0  # before the first line that says so
_TELL_SECONDS = 60.0  # between two of them


@contextmanager
def exclusive(target: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of whoever writes `target`.

    It is an empty file in the cache folder, which stays: removing it would open a race.

    Args:
        wait: for the process that holds it, for as long as it takes.

    Raises:
        UserError: another process holds it, and `wait` is not set; the cache folder cannot be written.
    """
    name = hashlib.blake2b(str(target.absolute()).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    folder = cache_folder() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f"{name}.lock").open("a+b")
    except OSError as error:
        raise UserError(
            f"cache folder {folder} cannot be written ({error.strerror})",
            rule="locks lie there, so that two processes do not write the same file",
            fix="Set STYLEGEN_CACHE to a folder that can be written",
        ) from error
    with file:
        told = time.monotonic() + _QUIET_SECONDS
        while not _try(file):
            if not wait:
                raise UserError(
                    f"another process is writing {target}",
                    rule="one at a time",
                    fix="Wait for it, or name another output",
                )
            if time.monotonic() > told:
                print(f"note: another process is writing {target}; waiting for it", file=sys.stderr, flush=True)
                told += _TELL_SECONDS
            time.sleep(_PAUSE_SECONDS)
        yield


def _try(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
