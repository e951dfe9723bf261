"""`bench what=sample`: images per second of a generator, from seeds to uint8 images."""

from dataclasses import dataclass
from typing import Any

import torch

from stylegen import randomness
from stylegen.benchmarks.benchmark_report import Report, Table
from stylegen.benchmarks.machine import describe_machine, matmul_rate, one_line
from stylegen.benchmarks.operation_counts import OperationCounts
from stylegen.benchmarks.stopwatch import PeakMemory, Spread, timed
from stylegen.benchmarks.training_setup import Subject, subjects
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.settings import BenchSettings
from stylegen.latent.sampler import Sampler
from stylegen.networks import StyleGenerator
from stylegen.runs.build import new_generator


@dataclass(frozen=True)
class SamplingCost:
    """Time and memory of one call with `batch_size` seeds.

    Attributes:
        seconds: one value for each repetition.
        peak_bytes: peak memory minus the memory in use before the call.
    """

    batch_size: int
    seconds: list[float]
    operations: int
    flops: int
    peak_bytes: int


def sampling_speed(settings: BenchSettings) -> Report:
    """Measure one configuration, or two in alternation.

    Raises:
        UserError: a bad snapshot or configuration.
    """
    with subjects(settings) as found:
        generators = [_generator(settings, subject) for subject in found]
        rates = [_matmul(subject) for subject in found]
        costs = [_costs(found, generators, size, settings.repetitions) for size in settings.batch_sizes]
        found[0].use()
        machine = describe_machine(found[0].device)
    tables, measured = [], []
    for number, (subject, rate) in enumerate(zip(found, rates, strict=True)):
        own = [pair[number] for pair in costs]
        tables.append(_table(subject, settings.snapshot, own, rate))
        measured.append({"label": subject.label, "threads": subject.threads, "matmul_flops_per_second": rate})
        measured[-1]["batches"] = [{**vars(cost), "images_per_second": _rate(cost)} for cost in own]
    values: dict[str, Any] = {"machine": machine, "snapshot": settings.snapshot, "measured": measured}
    if len(found) == 2:
        ratios = {first.batch_size: _ratio(first, second) for first, second in costs}
        values["ratios"] = ratios
        rows = [(str(size), str(spread)) for size, spread in ratios.items()]
        tables.append(Table(("batch", "times as fast"), rows, [f"as with {settings.vs}; alternating repetitions"]))
    return Report("sample", [Table((one_line(machine),), []), *tables], values)


def _generator(settings: BenchSettings, subject: Subject) -> StyleGenerator:
    if settings.snapshot is not None:
        generator = load_snapshot(settings.snapshot).generator
    else:
        with randomness.seeded_construction(subject.settings.seed, "weights/G"):
            generator = new_generator(subject.settings.generator, subject.dataset.spec)
    generator = generator.eval().requires_grad_(False).to(subject.device)
    return generator.to(memory_format=torch.channels_last)  # as `sample` does


def _matmul(subject: Subject) -> float:
    subject.use()
    return matmul_rate(subject.device, torch.float32)


def _costs(
    found: list[Subject], generators: list[StyleGenerator], batch_size: int, repetitions: int
) -> list[SamplingCost]:
    """Of each configuration; their repetitions alternate."""
    samplers = [Sampler(generator, batch_size=batch_size) for generator in generators]
    seeds = list(range(batch_size))
    seconds: list[list[float]] = [[] for _ in found]
    costs = []
    for subject, sampler in zip(found, samplers, strict=True):
        subject.use()
        memory = PeakMemory(subject.device)
        before = memory.in_use()
        memory.reset()
        sampler.images(seeds)
        peak = memory.bytes() - before
        with OperationCounts() as counts:
            sampler.images(seeds)
        costs.append((counts.operations.total(), counts.flops.total(), peak))
    for _ in range(repetitions):
        for subject, sampler, own in zip(found, samplers, seconds, strict=True):
            subject.use()
            own += timed(lambda sampler=sampler: sampler.images(seeds), subject.device, warm_up=0)  # type: ignore[misc]
    return [SamplingCost(batch_size, own, *cost) for own, cost in zip(seconds, costs, strict=True)]


def _rate(cost: SamplingCost) -> Spread:
    return Spread.of(cost.seconds).of_rate(cost.batch_size)


def _ratio(first: SamplingCost, second: SamplingCost) -> Spread:
    return Spread.of([slow / fast for fast, slow in zip(first.seconds, second.seconds, strict=True)])


def _table(subject: Subject, snapshot: str | None, costs: list[SamplingCost], rate: float) -> Table:
    rows = []
    for cost in costs:
        spread, speed = Spread.of(cost.seconds), _rate(cost)
        flops = cost.flops / spread.median
        rows.append(
            (
                str(cost.batch_size),
                f"{speed.median:.4g}",
                f"{speed.low:.4g} to {speed.high:.4g}",
                f"{spread.median * 1e3:.4g}",
                f"{cost.flops / cost.batch_size / 1e9:.3g}",
                f"{flops / rate:.1%}",
                str(cost.operations),
            )
        )
    return Table(
        ("batch", "images/s", "spread", "ms", "GFLOP/image", "of matmul", "operations"),
        rows,
        [f"{snapshot or subject.label}: {subject.threads} thread(s), matrix products {rate / 1e9:.4g} GFLOP/s"],
    )
