"""Several snapshots in one report: a table, a plot, and the JSON object of the last line."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stylegen.files import write_text
from stylegen.metrics.protocol.card_file import updating
from stylegen.metrics.protocol.report import Scored, best_of, check_comparable, table, to_svg
from stylegen.metrics.protocol.score_table import comparable, merged, rows_at, rows_of, to_csv
from stylegen.verbs.scoring import Subject


def report(config: Any, scored: Sequence[Scored], subjects: Sequence[Subject]) -> str:
    """Table and plot beside the run; the JSON object for the last line."""
    check_comparable(scored)
    folder = report_folder(config, subjects)
    scored = [replace(s, name=name) for s, name in zip(scored, _distinct_names(subjects), strict=True)]
    with updating(folder / "scores.csv"):
        rows = merged(rows_at(folder / "scores.csv"), rows_of(scored))
        write_text(folder / "scores.csv", to_csv(rows))
    write_text(folder / "scores.svg", to_svg(comparable(rows, scored[0])))
    print("\n".join(table(scored)), file=sys.stderr)
    result = {
        "metrics": {key: [s.card["metrics"][key] for s in scored] for key in scored[0].card["metrics"]},
        "better": scored[0].card["better"],
        "snapshots": [s.name for s in scored],
        "kimg": [s.kimg for s in scored],
        "best": best_of(scored),
        "num_samples": config.num_samples,
        "cards": [str(s.card) for s in subjects],
        "table": str(folder / "scores.csv"),
        "plot": str(folder / "scores.svg"),
    }
    return json.dumps(result, allow_nan=False)


def _distinct_names(subjects: Sequence[Subject]) -> list[str]:
    """The snapshots' own names; with the path from their common folder where they are from several."""
    folders = {s.card.absolute().parent for s in subjects}
    if len(folders) == 1:
        return [s.name for s in subjects]
    common = os.path.commonpath(folders)
    return [(s.card.absolute().parent / s.name).relative_to(common).as_posix() for s in subjects]


def report_folder(config: Any, subjects: Sequence[Subject]) -> Path:
    if config.out is not None:
        return Path(config.out).expanduser()
    folder = Path(os.path.commonpath([s.card.absolute().parent for s in subjects]))
    return folder.parent if folder.name == "snapshots" else folder
