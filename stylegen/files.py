"""Files that appear whole or not at all, folders that disappear, and JSON from strangers."""

import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn


def parse_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads`, whose errors are ValueErrors: numbers of more than 4,300 digits, and nesting without end, too."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context manager: a new folder for temporary files, removed at the end, also when the end is SIGTERM.

    The signal then ends the process with status 143, as it does without us. Where somebody else handles it, or outside
    the main thread, theirs is left alone.
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


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context manager: a hidden, empty file beside `path` to write to, which takes its place on success.

    Its mode is 0666 less the umask, as that of any other new file. On an error it is removed, and `path` keeps what it
    held. Several processes or threads may write the same path at once; the last one to finish stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some libraries make a file of their own, for its owner alone
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
