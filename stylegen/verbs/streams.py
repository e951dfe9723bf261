"""Output that nobody reads: `train.py | head` closes the pipe; the command goes on to its end."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class _Unbroken:
    """A text stream whose lines go nowhere once its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        """What is buffered, and whatever comes, goes to the null device; it would fail again at the end otherwise."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def unbroken_streams() -> Iterator[None]:
    """Context manager: writing to standard output or error never raises BrokenPipeError."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Unbroken(out), _Unbroken(err)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = out, err
