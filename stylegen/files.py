"""Files: atomic writes, locks between processes, temporary folders, the cache folder, and JSON from unknown sources."""

import hashlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from stylegen.errors import UserError

_QUIET_SECONDS = 2.0  # waiting for a lock, before the first message
_REPEAT_SECONDS = 60.0  # between later messages


@contextmanager
def replacing(path: Path, *, durable: bool = False, locked: bool = False) -> Iterator[Path]:
    """Context manager: yields a hidden, empty file beside `path`, which replaces `path` on success.

    On an error the hidden file is removed and `path` keeps its content. The mode is 0666 less the umask, as for any new
    file.

    Args:
        durable: flush file and folder to the disk, so that a power failure leaves the old or the whole new content.
        locked: the caller is the only writer on this machine (see `exclusive`). The hidden file then has a fixed name,
            so that the remains of a killed process are overwritten. By default any number of processes and threads may
            write the same path; the last one to finish wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = platform.node() if locked else f"{os.getpid()}.{threading.get_native_id()}"
    partial = path.with_name(f".{path.name}.{writer}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some libraries recreate the file, readable by its owner only
        if durable:
            move_durably(partial, path)
        else:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write UTF-8 text atomically; see `replacing`. Lone surrogates (undecodable file names) become escapes."""
    with replacing(path, durable=durable) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Context manager: yields a hidden folder beside `path`, which is renamed to `path` on success.

    `path` must not exist, and the caller must be its only writer.
    """
    partial = path.with_name(f".{path.name}.{platform.node()}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # remains of a killed process
    try:
        partial.mkdir(parents=True)
        yield partial
        if hasattr(os, "sync"):  # one call for all files; fsync on each would take minutes
            os.sync()
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def move_durably(partial: Path, path: Path) -> None:
    """Rename a complete file to `path`; a power failure leaves the old or the whole new content under this name."""
    _sync(partial)
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk; Windows cannot open folders."""
    if os.name == "posix" or path.is_file():
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive(target: Path, *, wait: bool) -> Iterator[None]:
    """Context manager: holds the lock of `target` against other processes; released when the process ends.

    The lock is a file in the cache folder, so that `target` may be in a folder that others read.

    Args:
        wait: True waits until the lock is free; False refuses at once.

    Raises:
        UserError: another process holds the lock and `wait` is false, or the cache folder is not writable.
    """
    from filelock import FileLock, Timeout

    name = hashlib.blake2b(str(target.absolute()).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    folder = cache_folder() / "locks"
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    timeout = _QUIET_SECONDS if wait else 0.0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=timeout)
            except Timeout:
                if not wait:
                    raise UserError(
                        f"another process is writing {target}",
                        rule="one process writes a file at a time",
                        fix="Wait for it, or name another output",
                    ) from None
                print(f"note: another process is writing {target}; waiting for it", file=sys.stderr, flush=True)
                timeout = _REPEAT_SECONDS
    except OSError as error:
        raise unwritable_cache(folder, error, "lock files are in the cache folder") from error
    try:
        yield
    finally:
        lock.release()


def cache_folder() -> Path:
    """`$STYLEGEN_CACHE`, or else `stylegen` in the platform's cache folder. Does not create it.

    The platform's is `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows.
    """
    if chosen := os.environ.get("STYLEGEN_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "stylegen"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "stylegen" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylegen"


def unreadable(setting: str, path: str | Path, error: OSError) -> UserError:
    """The error for a file of a setting that cannot be read."""
    return UserError(
        f"{setting}={path} cannot be read ({error.strerror or error})",
        rule="the file must be readable",
        fix=f"Check its permissions, or use {setting}= with another file",
    )


def unwritable_cache(folder: Path, error: OSError, rule: str) -> UserError:
    """The error for a cache folder that cannot be written."""
    return UserError(
        f"cache folder {folder} cannot be written ({error.strerror or error})",
        rule=rule,
        fix="Set STYLEGEN_CACHE to a writable folder",
    )


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context manager: a new temporary folder, also removed on SIGTERM.

    SIGTERM then ends the process with status 143, as without a handler. An existing handler is kept; outside the
    main thread, no handler is installed.
    """
    main = threading.current_thread() is threading.main_thread()
    ours = main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _exit)
    try:
        with tempfile.TemporaryDirectory(prefix="stylegen-") as folder:
            yield Path(folder)
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def parse_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads` that raises ValueError for excessive nesting too."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
