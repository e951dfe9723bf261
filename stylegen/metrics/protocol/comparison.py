"""Comparison of the cards of several snapshots: a check, a table, and a figure against kimg."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stylegen.errors import UserError
from stylegen.figures import BLUE, new_figure
from stylegen.figures import to_svg as figure_to_svg

# Numbers are comparable only if these fields are equal.
CHOICES = (
    "num_samples",
    "num_reals",
    "dataset",
    "extractors",
    "options",
    "protocol",
    "reals",
    "seed",
    "protocol_version",
)


@dataclass(frozen=True)
class Measured:
    """A snapshot and its card as plain JSON values.

    Args:
        name: the snapshot, as in the table.
        kimg: length of its training; None if unknown.
        card: see `MetricCard`.
    """

    name: str
    kimg: float | None
    card: Mapping[str, Any]


def check_comparable(measured: Sequence[Measured]) -> None:
    """Raises UserError for cards that are not comparable; names the choice that differs."""
    first = measured[0]
    for other in measured[1:]:
        for choice in CHOICES:
            if first.card[choice] != other.card[choice]:
                raise UserError(
                    f"{first.name} and {other.name}",
                    rule=f"their metrics differ in {choice} ({_short(first.card[choice])} and "
                    f"{_short(other.card[choice])}), so they are not comparable",
                    fix="Evaluate them in one command, with the same settings",
                )


def best_of(measured: Sequence[Measured]) -> dict[str, str]:
    """For each number with a better direction, the name of the best snapshot."""
    found = {}
    for key, better in measured[0].card["better"].items():
        values = [m.card["metrics"][key] for m in measured]
        if better is not None:
            found[key] = measured[values.index(min(values) if better == "lower" else max(values))].name
    return found


def table(measured: Sequence[Measured]) -> list[str]:
    """Lines of text: a row per snapshot, a column per number, the best of each with a star."""
    keys, best = list(measured[0].card["metrics"]), best_of(measured)
    rows = [["kimg", *keys, "snapshot"]]
    for m in measured:
        numbers = [f"{m.card['metrics'][k]:.4g}{'*' if best.get(k) == m.name else ''}" for k in keys]
        rows.append(["" if m.kimg is None else f"{m.kimg:g}", *numbers, m.name])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(w) for cell, w in zip(row[:-1], widths, strict=False)) + f"  {row[-1]}" for row in rows
    ]


def to_svg(measured: Sequence[Measured]) -> str:
    """A panel for each number that has a better direction, against kimg; opens in any browser.

    If kimg is unknown for any snapshot, the axis is the position in the list.
    """
    keys = [key for key, better in measured[0].card["better"].items() if better is not None]
    known = all(m.kimg is not None for m in measured)
    places = [float(m.kimg or 0) if known else float(i) for i, m in enumerate(measured)]
    figure, axes = new_figure(len(keys), size=(6.4, 2.6 * len(keys)), sharex=True)
    for key, panel in zip(keys, axes[:, 0], strict=True):
        points = sorted(zip(places, (float(m.card["metrics"][key]) for m in measured), strict=True))
        panel.plot(*zip(*points, strict=True), marker="o", markersize=4, color=BLUE, gid=key)
        panel.set_title(f"{key} ({measured[0].card['better'][key]} is better)", loc="left", fontsize=9)
    axes[-1, 0].set_xlabel("kimg" if known else "snapshot")
    return figure_to_svg(figure)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
