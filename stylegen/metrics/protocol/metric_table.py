"""metrics.csv: a row for each snapshot and set of choices; a repeated evaluation updates its row."""

import csv
import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylegen.metrics.protocol.card_file import put_aside
from stylegen.metrics.protocol.comparison import CHOICES, Measured

_LOG = logging.getLogger(__name__)

Row = dict[str, str]
_FIRST, _LAST = ("snapshot", "kimg"), ("num_samples", "choices")


def rows_of(measured: Sequence[Measured]) -> list[Row]:
    """A row for each snapshot, with all digits; `choices` is equal for comparable numbers."""
    return [
        {
            "snapshot": m.name,
            "kimg": "" if m.kimg is None else str(m.kimg),
            **{key: repr(value) for key, value in m.card["metrics"].items()},
            "num_samples": str(m.card["num_samples"]),
            "choices": _digest(m.card),
        }
        for m in measured
    ]


def rows_at(path: Path) -> list[Row]:
    """The rows of the table at `path`; empty without a file. A file of another kind is renamed with a warning."""
    try:
        return read_rows(path.read_text()) if path.exists() else []
    except (OSError, ValueError) as error:
        _LOG.warning("%s is not a table of metrics (%s); it is renamed to %s", path, error, put_aside(path).name)
        return []


def read_rows(text: str) -> list[Row]:
    """Inverse of `to_csv`.

    Raises:
        ValueError: not a table of this kind.
    """
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        rows = [dict(row) for row in reader]
        columns = list(reader.fieldnames or ())
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if tuple(columns[:2]) != _FIRST or any(None in row or None in row.values() for row in rows):
        raise ValueError("its columns do not match metrics.csv")
    for row in rows:
        for key in {*columns} - {"snapshot", *_LAST}:
            float(row[key] or 0)
    return rows


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """All rows by kimg; a new row replaces the numbers of an old one with the same snapshot and choices."""
    rows: dict[tuple[str, str], Row] = {}
    for row in (*old, *new):
        key = (row["snapshot"], row.get("choices", ""))
        rows[key] = {**rows.get(key, {}), **row}
    return sorted(rows.values(), key=lambda row: float(row["kimg"] or "inf"))


def to_csv(rows: Sequence[Row]) -> str:
    """Columns: snapshot, kimg, every number of any row, num_samples, choices; missing numbers are empty."""
    numbers = [key for row in rows for key in row if key not in (*_FIRST, *_LAST)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *dict.fromkeys(numbers), *_LAST], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def comparable(rows: Sequence[Row], like: Measured) -> list[Measured]:
    """The rows with the choices and the numbers of this card, for a figure."""
    keys, choices = list(like.card["metrics"]), _digest(like.card)
    return [
        Measured(
            row["snapshot"],
            float(row["kimg"]) if row["kimg"] else None,
            {"metrics": {key: float(row[key]) for key in keys}, "better": like.card["better"]},
        )
        for row in rows
        if row.get("choices") == choices and all(row.get(key) for key in keys)
    ]


def _digest(card: Mapping[str, Any]) -> str:
    content = json.dumps([card[choice] for choice in CHOICES], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=4).hexdigest()
