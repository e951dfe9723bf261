"""`bench what=train`: where the time of a training step goes, and its share of the machine's matrix-multiply rate."""

from typing import Any

import torch

from stylegen.benchmarks.benchmark_report import Report, Table, binary_size
from stylegen.benchmarks.machine import describe_machine, matmul_rate, one_line
from stylegen.benchmarks.memory_use import check_fits
from stylegen.benchmarks.step_cost import PhaseCost, StepCost, ratio, step_costs
from stylegen.benchmarks.stopwatch import Spread
from stylegen.benchmarks.training_setup import Subject, subjects
from stylegen.config.sections import as_dict
from stylegen.config.settings import BenchSettings

_HEAD = ("phase", "every", "ms", "spread", "images/s", "GFLOP/image", "GFLOP/s", "of matmul", "operations")
_MOST_OPERATIONS = 10


def training_speed(settings: BenchSettings) -> Report:
    """Measure a training step, or two in alternation.

    Raises:
        UserError: settings that cannot be trained, or do not fit into memory.
    """
    with subjects(settings) as found:
        predicted = [check_fits(subject) for subject in found]
        rates = [_matmul(subject) for subject in found]
        costs = step_costs(found, settings.repetitions)
        rates = [max(rate, _matmul(subject)) for rate, subject in zip(rates, found, strict=True)]
        found[0].use()
        machine = describe_machine(found[0].device)
    tables, measured = [], []
    for subject, cost, rate, expected in zip(found, costs, rates, predicted, strict=True):
        tables += [_phases(subject, cost, rate, expected), _operations(cost)]
        measured.append(_values(subject, cost, rate, expected))
    values: dict[str, Any] = {"machine": machine, "measured": measured}
    if len(costs) == 2:
        values["ratio"] = ratio(*costs)
        note = f"{found[0].label} is {values['ratio']} times as fast as with {settings.vs}"
        tables.append(Table(("ratio, from alternating repetitions",), [(note,)]))
    return Report("train", [Table((one_line(machine),), []), *tables], values)


def _matmul(subject: Subject) -> float:
    subject.use()
    return matmul_rate(subject.device, subject.dtype)


def _phases(subject: Subject, cost: StepCost, rate: float, predicted: int) -> Table:
    per_image, flops = Spread.of(cost.seconds_per_image), cost.flops_per_image
    speed, spec = per_image.of_rate(1), subject.dataset.spec
    rows = [_row(phase, cost.batch_size, rate) for phase in cost.phases]
    rows.append(
        (
            "step",
            "",
            *_milliseconds(per_image.times(cost.batch_size)),
            f"{speed.median:.4g}",
            f"{flops / 1e9:.3g}",
            f"{flops * speed.median / 1e9:.3g}",
            f"{flops * speed.median / rate:.1%}",
            f"{cost.operations:.0f}",
        )
    )
    launches = "" if cost.launches is None else f", {cost.launches:.0f} kernel launches per step"
    return Table(
        _HEAD,
        rows,
        [
            f"{subject.label}: {spec.resolution} px, batch {cost.batch_size}, {subject.settings.precision}, "
            f"{subject.threads} thread(s), {'compiled' if subject.compiled else 'eager'}",
            *(f"note: {note}" for note in subject.notes),
            f"{speed} images/s, {per_image.times(1000)} s/kimg, first step {cost.first_seconds:.2f} s{launches}",
            f"peak memory {binary_size(cost.peak_bytes)}, predicted {binary_size(predicted)}",
            f"matrix products {rate / 1e9:.4g} GFLOP/s",
            "step: phases at their intervals; median and quartiles of "
            f"{per_image.count} repetitions; operations: without views",
        ],
    )


def _row(phase: PhaseCost, batch_size: int, rate: float) -> tuple[str, ...]:
    spread = Spread.of(phase.seconds)
    speed = phase.flops / spread.median
    return (
        phase.name,
        str(phase.interval),
        *_milliseconds(spread),
        f"{batch_size / spread.median:.4g}",
        f"{phase.flops / batch_size / 1e9:.3g}",
        f"{speed / 1e9:.3g}",
        f"{speed / rate:.1%}",
        f"{phase.operations}",
    )


def _milliseconds(seconds: Spread) -> tuple[str, str]:
    return f"{seconds.median * 1e3:.4g}", f"{seconds.low * 1e3:.4g} to {seconds.high * 1e3:.4g}"


def _operations(cost: StepCost) -> Table:
    largest = list(cost.shares().items())[:_MOST_OPERATIONS]
    return Table(
        ("operation", "of the time"),
        [(name, f"{share:.1%}") for name, share in largest],
        ["own time without called operations, by PyTorch's profiler; phases at their intervals"],
    )


def _values(subject: Subject, cost: StepCost, rate: float, predicted: int) -> dict[str, Any]:
    per_image = Spread.of(cost.seconds_per_image)
    return {
        "label": subject.label,
        "settings": as_dict(subject.settings),
        "threads": subject.threads,
        "compiled": subject.compiled,
        "notes": subject.notes,
        "dtype": str(subject.dtype).removeprefix("torch."),
        "tf32": subject.settings.precision == "tf32" and torch.backends.cudnn.allow_tf32,
        "resolution": subject.dataset.spec.resolution,
        "batch_size": cost.batch_size,
        "images_per_second": per_image.of_rate(1),
        "seconds_per_kimg": per_image.times(1000),
        "first_step_seconds": cost.first_seconds,
        "peak_memory_bytes": cost.peak_bytes,
        "predicted_memory_bytes": predicted,
        "matmul_flops_per_second": rate,
        "flops_per_image": cost.flops_per_image,
        "share_of_matmul_rate": cost.flops_per_image / per_image.median / rate,
        "operations_per_step": cost.operations,
        "launches_per_step": cost.launches,
        "time_shares": cost.shares(),
        "phases": cost.phases,
    }
