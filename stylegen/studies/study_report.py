"""The report of a study: a Markdown table, a CSV file with all digits, and a plot."""

import csv
import io
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylegen import figures
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.errors import UserError
from stylegen.files import write_text
from stylegen.studies.order_stability import orders
from stylegen.studies.plan import Experiment, Study
from stylegen.studies.trial import Trial, median

FILES = {"report": "report.md", "numbers": "report.csv", "plot": "report.svg"}
_ROW_INCHES, _PANEL_INCHES = 0.25, 3.2


def write_report(root: Path, study: Study, experiments: Sequence[Experiment], trials: Sequence[Trial]) -> None:
    """Write report.md, report.csv, report.svg, and a copy of one sample grid for each variant."""
    measured = trials[0].card["metrics"]  # `set=` may have chosen other metrics than the file
    show = [key for key in study.show if key in measured] or [k for k, v in trials[0].card["better"].items() if v]
    grids: dict[str, str] = {}
    for experiment, trial in zip(experiments, trials, strict=True):
        if experiment.variant not in grids:
            grids[experiment.variant] = f"grids/{experiment.variant}.png"
            target = root / grids[experiment.variant]
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(RunFolder(experiment.folder).sample(round(trial.kimg * 1000)), target)
    commands = {experiment.variant: experiment.overrides for experiment in experiments}
    settings = experiments[0].settings
    data = f"{settings.data.path}, batch {settings.batch_size}"
    write_text(root / FILES["numbers"], to_csv(trials))
    write_text(root / FILES["plot"], to_svg(study.title, trials, show))
    write_text(root / FILES["report"], to_markdown(study.title, trials, show, grids, commands, data))


def by_variant(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials by variant, in their order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.variant, []).append(trial)
    return groups


def mean_and_spread(trials: Sequence[Trial], key: str) -> tuple[float, float | None]:
    """Mean over seeds, and the standard deviation with n - 1; None for a single seed."""
    values = [float(trial.card["metrics"][key]) for trial in trials]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def ranked(trials: Sequence[Trial], key: str) -> dict[str, list[Trial]]:
    """Trials by variant, the best mean of `key` first."""
    groups = by_variant(trials)
    sign = -1 if trials[0].card["better"].get(key) == "higher" else 1
    order = sorted(groups, key=lambda variant: sign * mean_and_spread(groups[variant], key)[0])
    return {variant: groups[variant] for variant in order}


def to_csv(trials: Sequence[Trial]) -> str:
    """One row per experiment."""
    keys, text = list(trials[0].card["metrics"]), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "seed", "kimg", *keys, "parameters", "sec_per_kimg", "cpu_sec_per_kimg"])
    for t in trials:
        numbers = [repr(t.card["metrics"][key]) for key in keys]
        speeds = ["" if s is None else f"{s:.3f}" for s in (t.sec_per_kimg, t.cpu_sec_per_kimg)]
        writer.writerow([t.variant, t.seed, t.kimg, *numbers, t.parameters, *speeds])
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
        show: metrics; the first one orders the table.
        grids: path of a sample grid by variant.
        commands: overrides of `train.py` by variant; those common to all are listed once.
        data: description of the training data.
    """
    _check_shown(trials, show)
    groups, first = ranked(trials, show[0]), trials[0]
    seeds = sorted({t.seed for t in trials})
    names = [f"{key} ({first.card['better'].get(key) or '-'})" for key in show]
    lines = [f"# {title}", ""]
    lines += [
        f"{len(groups)} variants, seeds {', '.join(map(str, seeds))}, {first.kimg:g} kimg each, {data}; "
        f"{first.card['num_samples']} samples per evaluation. Mean over seeds ± standard deviation; whether "
        "lower or higher is better is in parentheses.",
        "",
        f"| variant | {' | '.join(names)} | parameters | s/kimg | CPU s/kimg | samples |",
        "|---" * (len(show) + 5) + "|",
    ]
    for variant, group in groups.items():
        cells = [_cell(*mean_and_spread(group, key)) for key in show]
        speeds = [_speed([t.sec_per_kimg for t in group]), _speed([t.cpu_sec_per_kimg for t in group])]
        row = [variant, *cells, f"{group[0].parameters:,}", *speeds]
        lines.append(f"| {' | '.join(row)} | [grid]({grids[variant]}) |")
    lines += [
        "",
        *_stability(trials, show),
        *_references(first, show),
        "",
        "![Each seed, mean and standard deviation](report.svg)",
        "",
    ]
    return "\n".join([*lines, *_recipes(commands), ""])


def _check_shown(trials: Sequence[Trial], show: Sequence[str]) -> None:
    missing = [key for key in show if key not in trials[0].card["metrics"]]
    if missing or not show:
        raise UserError(
            f"show={list(show)}",
            rule=f"the metrics of this study are {', '.join(trials[0].card['metrics']) or 'none'}",
            fix="List some of these in the study's file, or compute more with evaluation.metrics",
        )


def _cell(mean: float, spread: float | None) -> str:
    return _digits(mean, 3) + ("" if spread is None else f" ± {_digits(spread, 2)}")


def _digits(value: float, count: int) -> str:
    """Rounded to `count` significant digits, without exponent from 0.0001 to 999,999: 103 is 100."""
    return f"{float(f'{value:.{count}g}'):g}"


def _speed(seconds: Sequence[float | None]) -> str:
    """The median of the measured values."""
    found = median([value for value in seconds if value is not None])
    return "" if found is None else f"{found:.1f}"


def _references(trial: Trial, show: Sequence[str]) -> list[str]:
    """The same metrics of reference images."""
    lines = []
    for key in show:
        known = trial.card["references"].get(key)
        if known:
            values = ", ".join(f"{what.replace('_', ' ')} {value:.3g}" for what, value in known.items())
            lines.append(f"- {key}: {values}")
    return ["For comparison:", "", *lines] if lines else []


def _stability(trials: Sequence[Trial], show: Sequence[str]) -> list[str]:
    """Rank correlations of the variants' order, for studies that evaluate during training."""
    found = {key: orders(trials, key) for key in show}
    found = {key: rows for key, rows in found.items() if len(rows) > 1}
    if not found:
        return []
    lines = ["Order of the variants: rank correlation of the means with the final means; between two seeds, mean.", ""]
    lines += [f"| kimg | {' | '.join(f'{key}: with the end | between seeds' for key in found)} |"]
    lines += ["|---" * (1 + 2 * len(found)) + "|"]
    for row in zip(*found.values(), strict=True):
        cells = [f"{at.with_end:.2f} | {'' if at.between_seeds is None else f'{at.between_seeds:.2f}'}" for at in row]
        lines.append(f"| {row[0].kimg:g} | {' | '.join(cells)} |")
    return [*lines, ""]


def _recipes(commands: Mapping[str, Sequence[str]]) -> list[str]:
    every = list(commands.values())
    shared = [override for override in every[0] if all(override in other for other in every)]
    lines = ["Every run is", "", "```", f"python train.py {' '.join(shared)}", "```"]
    lines += ["", "with its seed and these overrides:", ""]
    for variant, overrides in commands.items():
        rest = " ".join(override for override in overrides if override not in shared)
        lines.append(f"- {variant}: `{rest}`" if rest else f"- {variant}: no further override")
    return lines


def to_svg(title: str, trials: Sequence[Trial], show: Sequence[str]) -> str:
    """One panel per metric: a dot for each seed, a bar from mean - deviation to mean + deviation."""
    _check_shown(trials, show)
    groups = ranked(trials, show[0])
    height = 1.2 + _ROW_INCHES * len(groups)
    figure, panels = figures.new_figure(1, len(show), size=(1 + _PANEL_INCHES * len(show), height), sharey=True)
    figure.suptitle(title, fontweight="bold")
    for axes, key in zip(panels[0], show, strict=True):
        _plot_panel(axes, groups, key)
    panels[0, 0].set_yticks(range(len(groups)), list(groups))
    panels[0, 0].invert_yaxis()
    return figures.to_svg(figure)


def _plot_panel(axes: Any, groups: Mapping[str, Sequence[Trial]], key: str) -> None:
    trials = [trial for group in groups.values() for trial in group]
    values = [float(trial.card["metrics"][key]) for trial in trials]
    card, low, high = trials[0].card, min(values), max(values)
    rows = {variant: row for row, variant in enumerate(groups)}
    for variant, group in groups.items():
        mean, spread = mean_and_spread(group, key)
        axes.barh(rows[variant], 2 * (spread or 0), 0.3, left=mean - (spread or 0), color=figures.BLUE, alpha=0.3)
        axes.plot(mean, rows[variant], "|", color=figures.BLUE, markersize=12)
    axes.plot(
        values, [rows[trial.variant] for trial in trials], "o", color=figures.BLUE, markersize=4, gid=f"seeds-{key}"
    )
    floor = card["references"].get(key, {}).get("real_vs_real")
    suffix = "" if floor is None else f"; real against real {floor:.3g}"
    axes.set_title(key)
    axes.set_xlabel(f"{card['better'].get(key) or ''} is better{suffix}", color=figures.GRAY)
    if floor is not None and low - (high - low) <= floor <= high + (
        high - low
    ):  # otherwise it would squeeze the other values
        axes.axvline(floor, color=figures.GRAY, linestyle="--")
        axes.annotate("real", (floor, 1), xycoords=("data", "axes fraction"), color=figures.GRAY)
