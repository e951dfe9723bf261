"""Files that appear whole or not at all, and JSON from strangers."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def parse_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads`, whose errors are ValueErrors: numbers of more than 4,300 digits, and nesting without end, too."""
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


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
