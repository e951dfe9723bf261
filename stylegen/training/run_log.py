"""The log of a training: lines on standard error and in log.txt of the run folder."""

import contextlib
import sys
from pathlib import Path


class RunLog:
    """Writes lines; file errors are ignored.

    Args:
        path: file to append to; None for standard error only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, line: str, terminal: bool = True) -> None:
        """Write one or more lines.

        Args:
            terminal: also write to standard error.
        """
        if terminal:
            print(line, file=sys.stderr, flush=True)
        if self.path is not None:
            with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def duration(seconds: float) -> str:
    """A rounded time: "40 s", "9 min", "3 h 20 min", "12 d 4 h"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    if hours < 2400:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours // 24:,} d"
