"""The result of a measurement: tables for the terminal, and everything as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.errors import UserError
from stylegen.files import write_text


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; notes below."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        rows = [self.head, *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.head))]
        lines = [
            "  ".join(cell.ljust(width) if not i else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(row, widths, strict=True)) for row in rows)
        ]
        return "\n".join([*(line.rstrip() for line in lines), *self.notes])


@dataclass(frozen=True)
class Report:
    """Tables, and the values behind them.

    Attributes:
        what: the setting.
        values: plain values, with their units in the names.
    """

    what: str
    tables: Sequence[Table]
    values: dict[str, Any]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.tables))

    def write(self, path: Path) -> None:
        """Write a JSON file, atomically."""
        write_text(path, json.dumps({"what": self.what, **self.values}, indent=2, default=vars) + "\n")


def check_output(path: Path) -> None:
    """Raise UserError unless a file can be written at `path`; before anything is measured."""
    if path.suffix != ".json" or path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"out={path}", rule="must be a .json file in an existing folder", fix="Use out=FILE.json")


def binary_size(size: float | None) -> str:
    """Bytes as text, in MiB or GiB."""
    if size is None:
        return "-"
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
