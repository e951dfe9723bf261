"""The numbers of a study side by side: a table for the eye, one for programs, and a plot."""

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from stylegen.errors import UserError
from stylegen.metrics.protocol.report import axis_ticks

_ROW, _LABEL, _PANEL, _GAP, _TOP, _BOTTOM = 22, 130, 250, 30, 64, 40
_BLUE, _GREY = "#1f77b4", "#888"


@dataclass(frozen=True)
class Trial:
    """One experiment and what it gave.

    Args:
        kimg: of its training.
        card: see `metrics.MetricCard`, as plain JSON values.
        parameters: of the generator.
        sec_per_kimg: while it trained; None where it was not measured.
    """

    variant: str
    seed: int
    kimg: float
    card: Mapping[str, Any]
    parameters: int
    sec_per_kimg: float | None


def speeds(metrics: Path) -> list[float]:
    """`time/sec_per_kimg` of every record that has it."""
    if not metrics.exists():
        return []
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    found = [record.get("time/sec_per_kimg") for record in records]
    return [value for value in found if value is not None]


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def by_variant(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.variant, []).append(trial)
    return groups


def mean_and_spread(trials: Sequence[Trial], key: str) -> tuple[float, float | None]:
    """Mean over seeds, and the standard deviation (divided by n - 1); None for a single seed."""
    values = [float(trial.card["metrics"][key]) for trial in trials]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def ranked(trials: Sequence[Trial], key: str) -> dict[str, list[Trial]]:
    """Variants, the best mean of `key` first."""
    groups = by_variant(trials)
    sign = -1 if trials[0].card["better"].get(key) == "higher" else 1
    order = sorted(groups, key=lambda variant: sign * mean_and_spread(groups[variant], key)[0])
    return {variant: groups[variant] for variant in order}


def to_csv(trials: Sequence[Trial]) -> str:
    """A row for each experiment, with every digit."""
    keys, text = list(trials[0].card["metrics"]), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "seed", "kimg", *keys, "parameters", "sec_per_kimg"])
    for t in trials:
        numbers = [repr(t.card["metrics"][key]) for key in keys]
        speed = "" if t.sec_per_kimg is None else f"{t.sec_per_kimg:.3f}"
        writer.writerow([t.variant, t.seed, t.kimg, *numbers, t.parameters, speed])
    return text.getvalue()


def to_markdown(
    title: str,
    trials: Sequence[Trial],
    show: Sequence[str],
    grids: Mapping[str, str],
    commands: Mapping[str, Sequence[str]],
    data: str,
) -> str:
    """The report.

    Args:
        show: numbers of the card, the first of which orders the table.
        grids: by variant, a picture of samples.
        commands: by variant, the overrides of `train.py`; what all have in common is said once.
        data: what was trained on.
    """
    _check_shown(trials, show)
    groups, first = ranked(trials, show[0]), trials[0]
    seeds = sorted({t.seed for t in trials})
    names = [f"{key} ({first.card['better'].get(key) or '-'})" for key in show]
    lines = [f"# {title}", ""]
    lines += [
        f"{len(groups)} variants, seeds {', '.join(map(str, seeds))}, {first.kimg:g} kimg each, {data}; "
        f"{first.card['num_samples']} samples a score. Mean over seeds ± standard deviation; after each name of a "
        "number, which sense is better.",
        "",
        f"| variant | {' | '.join(names)} | parameters | s/kimg | samples |",
        "|---" * (len(show) + 4) + "|",
    ]
    for variant, group in groups.items():
        cells = [_cell(*mean_and_spread(group, key)) for key in show]
        speed = median([t.sec_per_kimg for t in group if t.sec_per_kimg is not None])
        row = [variant, *cells, f"{group[0].parameters:,}", "" if speed is None else f"{speed:.1f}"]
        lines.append(f"| {' | '.join(row)} | [grid]({grids[variant]}) |")
    lines += ["", *_references(first, show), "", "![Each seed, and mean and deviation](report.svg)", ""]
    return "\n".join([*lines, *_recipes(commands), ""])


def _check_shown(trials: Sequence[Trial], show: Sequence[str]) -> None:
    missing = [key for key in show if key not in trials[0].card["metrics"]]
    if missing or not show:
        raise UserError(
            f"show={list(show)}",
            rule=f"the scores of this study are {', '.join(trials[0].card['metrics']) or 'none'}",
            fix="Name some of these in the study's file, or measure others with evaluation.metrics",
        )


def _cell(mean: float, spread: float | None) -> str:
    return f"{mean:.3g}" if spread is None else f"{mean:.3g} ± {spread:.2g}"


def _references(trial: Trial, show: Sequence[str]) -> list[str]:
    """What the numbers mean: the same score of known pictures."""
    lines = []
    for key in show:
        known = trial.card["references"].get(key)
        if known:
            beside = ", ".join(f"{what.replace('_', ' ')} {value:.3g}" for what, value in known.items())
            lines.append(f"- {key}: {beside}")
    return ["For comparison:", "", *lines] if lines else []


def _recipes(commands: Mapping[str, Sequence[str]]) -> list[str]:
    every = list(commands.values())
    shared = [override for override in every[0] if all(override in other for other in every)]
    lines = ["Every run is", "", "```", f"python train.py {' '.join(shared)}", "```", "", "with its seed and", ""]
    for variant, overrides in commands.items():
        own = " ".join(override for override in overrides if override not in shared)
        lines.append(f"- {variant}: `{own}`" if own else f"- {variant}: nothing more")
    return lines


def to_svg(title: str, trials: Sequence[Trial], show: Sequence[str]) -> str:
    """A panel for each number: a dot for each seed, a bar from mean - deviation to mean + deviation. Any browser."""
    _check_shown(trials, show)
    groups = ranked(trials, show[0])
    width = _LABEL + len(show) * (_PANEL + _GAP)
    height = _TOP + _ROW * len(groups) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for i, variant in enumerate(groups):
        y = _TOP + _ROW * i + _ROW // 2 + 4
        parts.append(f'<text x="{_LABEL - 10}" y="{y}" text-anchor="end">{escape(variant)}</text>')
    for i, key in enumerate(show):
        parts += [f'<g transform="translate({_LABEL + i * (_PANEL + _GAP)} {_TOP})">', *_panel(groups, key), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(groups: Mapping[str, Sequence[Trial]], key: str) -> list[str]:
    trials = [t for group in groups.values() for t in group]
    card = trials[0].card
    floor = card["references"].get(key, {}).get("real_vs_real")
    values = [float(t.card["metrics"][key]) for t in trials]
    low, high = min(values), max(values)
    near = floor is not None and low - (high - low) <= floor <= high + (high - low)
    ticks = axis_ticks(min(low, floor), max(high, floor), 4) if near else axis_ticks(low, high, 4)
    height = _ROW * len(groups)

    def across(value: float) -> float:
        return (value - ticks[0]) / (ticks[-1] - ticks[0]) * _PANEL

    parts = [f'<text x="0" y="-24">{escape(key)}</text>']
    aside = "" if floor is None else f"; real against real {floor:.3g}"  # off the panel, where it is far away
    parts.append(f'<text x="0" y="-9" fill="{_GREY}">{card["better"].get(key) or ""} is better{aside}</text>')
    for tick in ticks:
        parts.append(f'<path d="M{across(tick):.1f} 0V{height}" stroke="#ddd"/>')
        parts.append(f'<text x="{across(tick):.1f}" y="{height + 16}" text-anchor="middle">{tick:g}</text>')
    if near:
        parts.append(f'<path d="M{across(floor):.1f} 0V{height}" stroke="{_GREY}" stroke-dasharray="4 3"/>')
        parts.append(f'<text x="{across(floor):.1f}" y="{height + 32}" text-anchor="middle" fill="{_GREY}">real</text>')
    for i, group in enumerate(groups.values()):
        y = _ROW * i + _ROW // 2
        mean, spread = mean_and_spread(group, key)
        left, right = (max(min(across(mean + s * (spread or 0)), _PANEL), 0) for s in (-1, 1))
        parts.append(f'<path d="M{left:.1f} {y}H{right:.1f}" stroke="{_BLUE}" stroke-width="6" opacity="0.3"/>')
        parts.append(f'<path d="M{across(mean):.1f} {y - 7}v14" stroke="{_BLUE}" stroke-width="2"/>')
        dots = [across(float(t.card["metrics"][key])) for t in group]
        parts += [f'<circle cx="{x:.1f}" cy="{y}" r="3" fill="{_BLUE}"/>' for x in dots]
    return parts
