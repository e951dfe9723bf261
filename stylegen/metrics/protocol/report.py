"""Many cards side by side: which can be compared, a table, and a plot of score against kimg."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from stylegen.errors import UserError

# Two scores with another value in one of these are numbers of different things.
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

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 260, 76, 20, 34, 42


@dataclass(frozen=True)
class Scored:
    """A snapshot and its card as plain JSON values.

    Args:
        name: of the snapshot.
        kimg: of its training; None where nothing says.
        card: see `MetricCard`.
    """

    name: str
    kimg: float | None
    card: Mapping[str, Any]


def check_comparable(scored: Sequence[Scored]) -> None:
    """Raise UserError, with the choice that differs, for cards whose numbers cannot be compared."""
    first = scored[0]
    for other in scored[1:]:
        for choice in CHOICES:
            if first.card[choice] != other.card[choice]:
                raise UserError(
                    f"{first.name} and {other.name}",
                    rule=f"their scores differ in {choice} ({_short(first.card[choice])} and "
                    f"{_short(other.card[choice])}), so they cannot be compared",
                    fix="Score them in one command, with the same settings",
                )


def best_of(scored: Sequence[Scored]) -> dict[str, str]:
    """For each number of which one sense is better, the name of the snapshot that has the best."""
    found = {}
    for key, sense in scored[0].card["better"].items():
        values = [s.card["metrics"][key] for s in scored]
        if sense is not None:
            found[key] = scored[values.index(min(values) if sense == "lower" else max(values))].name
    return found


def table(scored: Sequence[Scored]) -> list[str]:
    """Lines for the eye: a row a snapshot, a column a number, the best of each with a star."""
    keys, best = list(scored[0].card["metrics"]), best_of(scored)
    rows = [["kimg", *keys, "snapshot"]]
    for s in scored:
        numbers = [f"{s.card['metrics'][k]:.4g}{'*' if best.get(k) == s.name else ''}" for k in keys]
        rows.append(["" if s.kimg is None else f"{s.kimg:g}", *numbers, s.name])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(w) for cell, w in zip(row[:-1], widths, strict=False)) + f"  {row[-1]}" for row in rows
    ]


def to_svg(scored: Sequence[Scored]) -> str:
    """A plot of every number of which one sense is better against kimg, one under the other; opens in any browser.

    Snapshots without kimg stand by their place in the list.
    """
    keys = [key for key, sense in scored[0].card["better"].items() if sense is not None]
    x = [s.kimg for s in scored]
    label = "kimg" if all(v is not None for v in x) else "snapshot"
    places = [float(v) for v in x if v is not None] if label == "kimg" else [float(i) for i in range(len(scored))]
    height = _HEIGHT * len(keys)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for i, key in enumerate(keys):
        title = f"{key} ({scored[0].card['better'][key]} is better)"
        values = [float(s.card["metrics"][key]) for s in scored]
        parts += [f'<g transform="translate(0 {i * _HEIGHT})">', *_panel(title, label, places, values), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, label: str, x: Sequence[float], y: Sequence[float]) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    x_ticks, y_ticks = axis_ticks(min(x), max(x)), axis_ticks(min(y), max(y))

    def across(value: float) -> float:
        return _LEFT + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (right - _LEFT)

    def down(value: float) -> float:
        return bottom - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - _TOP)

    parts = [f'<text x="{_LEFT}" y="20" font-weight="bold">{escape(title)}</text>']
    for tick in y_ticks:
        parts.append(f'<path d="M{_LEFT} {down(tick):.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        parts.append(f'<path d="M{across(tick):.1f} {bottom}v5" stroke="black"/>')
        parts.append(f'<text x="{across(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="black"/>')
    parts.append(f'<text x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{label}</text>')
    points = [f"{across(a):.1f},{down(b):.1f}" for a, b in sorted(zip(x, y, strict=True))]
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="#1f77b4" stroke-width="2"/>')
    parts += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" fill="#1f77b4"/>' for p in points]
    return parts


def axis_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers, about `count`, from at most `low` to at least `high`."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= span / count)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
