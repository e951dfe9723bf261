"""Curves and sample grids of a run, finished or growing."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.files import parse_json

MAX_BYTES = 2**26  # of metrics.jsonl
MAX_POINTS = 400  # of a curve
MAX_GRIDS = 60
_SHOWN = ("loss/", "reg/", "metric/", "augment/", "real_", "time/sec_per_kimg")


def run_history(run: RunFolder) -> dict[str, Any]:
    """Curves, name -> [[kimg, value], ...], and the names of the sample grids, oldest first."""
    grids = [path.name for path in run.samples()]
    return {"curves": _curves(run.metrics), "grids": _thinned(grids, MAX_GRIDS)}


def grid_path(run: RunFolder, name: str) -> Path | None:
    """The file of a sample grid that `run_history` names; None for any other name."""
    return next((path for path in run.samples() if path.name == name), None)


def _curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Lines that are no records, such as the last one of a run that is being written, are left out."""
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_BYTES).splitlines()
    except OSError:
        return {}
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, Mapping) and _is_number(record.get("kimg")):
            for name, value in record.items():
                if name.startswith(_SHOWN) and _is_number(value):
                    curves.setdefault(name, []).append((record["kimg"], value))
    return {name: _thinned(points, MAX_POINTS) for name, points in sorted(curves.items())}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _thinned(items: list[Any], most: int) -> list[Any]:
    """At most `most` items at equal distances, the last one included."""
    if len(items) <= most:
        return items
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
