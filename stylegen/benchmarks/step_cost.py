"""The cost of one training step, phase by phase: time, operations, floating-point operations, memory."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from stylegen.benchmarks.operation_counts import OperationCounts
from stylegen.benchmarks.stopwatch import PeakMemory, Spread, Stopwatch
from stylegen.benchmarks.training_setup import Subject
from stylegen.training.compilation import compile_step
from stylegen.training.phases import Phase
from stylegen.training.terms import evaluate

OUTSIDE = "outside of operations"  # Python, NumPy; on a GPU, its idle time
KERNELS = "other kernels"  # on a GPU: launched by Triton, not by an operation
REST = "rest"  # of a step: images to float, mean of w, EMA, clock
_WARM_UP = 2  # steps; the first one allocates the optimizers' state, and compiles


@dataclass(frozen=True)
class PhaseCost:
    """Cost of a phase on the steps that run it, for the batch of one process.

    Attributes:
        interval: steps from one run of the phase to the next.
        seconds: one value for each repetition.
        operations, flops: see `OperationCounts`.
        profile: seconds by operation, and outside of them, in one repetition with PyTorch's profiler.
        launches: kernels launched on a GPU, by the profiler; None on a CPU.
    """

    name: str
    interval: int
    seconds: list[float]
    operations: int
    flops: int
    profile: dict[str, float]
    launches: int | None


@dataclass(frozen=True)
class StepCost:
    """Cost of a step, with phases at their intervals.

    Attributes:
        batch_size: images of one process.
        first_seconds: seconds of the first step, with compilation.
        peak_bytes: peak memory minus the memory in use before the networks were built; None where the process reuses
            memory that an earlier configuration has freed.
    """

    batch_size: int
    first_seconds: float
    peak_bytes: int | None
    phases: list[PhaseCost]

    @property
    def seconds_per_image(self) -> list[float]:
        """The mean over a cycle of intervals, one value for each repetition."""
        columns = [[value / phase.interval for value in phase.seconds] for phase in self.phases]
        return [sum(parts) / self.batch_size for parts in zip(*columns, strict=True)]

    @property
    def flops_per_image(self) -> float:
        return sum(phase.flops / phase.interval for phase in self.phases) / self.batch_size

    @property
    def operations(self) -> float:
        """Per step."""
        return sum(phase.operations / phase.interval for phase in self.phases)

    @property
    def launches(self) -> float | None:
        """Per step."""
        known = [phase.launches / phase.interval for phase in self.phases if phase.launches is not None]
        return sum(known) if known else None

    def shares(self) -> dict[str, float]:
        """Share of the profiled time by operation, the largest first."""
        seconds: Counter[str] = Counter()
        for phase in self.phases:
            seconds.update({name: value / phase.interval for name, value in phase.profile.items()})
        return {name: value / max(seconds.total(), 1e-30) for name, value in seconds.most_common()}


def step_costs(subjects: Sequence[Subject], repetitions: int) -> list[StepCost]:
    """The cost of each configuration; their repetitions alternate."""
    running = [_Running(subject, first=number == 0) for number, subject in enumerate(subjects)]
    for _ in range(repetitions):
        for each in running:
            each.repeat()
    return [each.cost() for each in running]


class _Running:
    """A warm training step, and what has been measured of it."""

    def __init__(self, subject: Subject, first: bool) -> None:
        self.subject = subject
        memory = PeakMemory(subject.device)
        before = memory.in_use()
        memory.reset()
        subject.use()
        self.step, (self.images, self.labels) = subject.build(), subject.batch(subject.batch_size)
        if subject.compiled:
            compile_step(self.step, lambda line: print(f"note: {line}", file=sys.stderr))
        begin = time.perf_counter()
        self._one_step()
        self._wait()
        self.first_seconds = time.perf_counter() - begin
        for _ in range(_WARM_UP - 1):
            self._one_step()
        self.peak_bytes = memory.bytes() - before if first or subject.device.type == "cuda" else None
        self.counts = self._counts()
        self.profiles, self.profiled_seconds = self._profiles()
        self.launches = self._launches() if subject.device.type == "cuda" else {}
        self.stopwatch = Stopwatch(subject.device)

    def _one_step(self) -> None:
        """A step in which every phase is due."""
        self.step.steps = 0
        self.step(self.images, self.labels)

    def _wait(self) -> None:
        if self.subject.device.type == "cuda":
            torch.cuda.synchronize(self.subject.device)

    def repeat(self) -> None:
        @contextmanager
        def mark_both_ends(phase: Phase) -> Iterator[None]:
            self.stopwatch.mark()
            yield
            self.stopwatch.mark()

        self.subject.use()
        self.step.watch = mark_both_ends
        self.stopwatch.mark()
        self._one_step()
        self.stopwatch.mark()

    def _counts(self) -> dict[str, OperationCounts]:
        """By phase, and of the rest; in eager mode, because compiled functions hide their operations."""
        found: dict[str, OperationCounts] = {}

        @contextmanager
        def count(phase: Phase) -> Iterator[None]:
            with OperationCounts() as found[phase.name]:
                yield

        self.step.watch, used, self.step.evaluate = count, self.step.evaluate, evaluate
        with OperationCounts() as rest:
            self._one_step()
        self.step.evaluate = used
        for counts in found.values():
            rest.operations.subtract(counts.operations)
            rest.flops.subtract(counts.flops)
        return {**found, REST: rest}

    def _profiles(self) -> tuple[dict[str, profile], dict[str, float]]:
        """By phase: the profile, and the seconds that it covers."""
        found: dict[str, profile] = {}
        seconds: dict[str, float] = {}

        @contextmanager
        def record(phase: Phase) -> Iterator[None]:
            with self._profile() as found[phase.name]:
                begin = time.perf_counter()
                yield
                self._wait()
                seconds[phase.name] = time.perf_counter() - begin

        self.step.watch = record
        with _without_stderr():
            self._one_step()
        return found, seconds

    def _profile(self) -> profile:
        activities = [ProfilerActivity.CPU]
        activities += [ProfilerActivity.CUDA] * (self.subject.device.type == "cuda")
        return profile(activities=activities)

    def _launches(self) -> dict[str, int]:
        """Kernels by phase, and of the rest: kernels of a step outside its phases."""
        self.step.watch = nullcontext
        with _without_stderr(), self._profile() as whole:
            self._one_step()
            self._wait()
        found = {name: _count_launches(recorded) for name, recorded in self.profiles.items()}
        return {**found, REST: _count_launches(whole) - sum(found.values())}

    def cost(self) -> StepCost:
        phases, marks = self.step.phases, 2 * len(self.step.phases) + 2  # marks of a step
        seconds = self.stopwatch.seconds()
        steps = [seconds[start : start + marks - 1] for start in range(0, len(seconds), marks)]
        costs = [self._phase(p.name, p.interval, [s[2 * k + 1] for s in steps]) for k, p in enumerate(phases)]
        costs.append(self._phase(REST, 1, [sum(s[::2]) for s in steps]))
        return StepCost(self.subject.batch_size, self.first_seconds, self.peak_bytes, costs)

    def _phase(self, name: str, interval: int, seconds: list[float]) -> PhaseCost:
        counts, recorded = self.counts[name], self.profiles.get(name)
        on_gpu = self.subject.device.type == "cuda"
        return PhaseCost(
            name=name,
            interval=interval,
            seconds=seconds,
            operations=counts.operations.total(),
            flops=counts.flops.total(),
            profile={} if recorded is None else _times(recorded, on_gpu, self.profiled_seconds[name]),
            launches=self.launches.get(name),
        )


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Context manager: discards what the profiler's C++ library prints at each start and stop."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _times(recorded: profile, on_gpu: bool, total: float) -> dict[str, float]:
    attribute = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent, kernels = dict[str, float](), 0.0
    for event in recorded.key_averages():
        seconds = getattr(event, attribute) / 1e6
        if event.device_type == DeviceType.CPU:
            spent[event.key.removeprefix("aten::")] = seconds
        elif not event.is_user_annotation:
            kernels += seconds  # again: an operation has the time of the kernels that it launches
    operations = sum(spent.values())
    spent[KERNELS] = kernels - operations
    spent[OUTSIDE] = total - max(kernels, operations)
    return {name: seconds for name, seconds in spent.items() if seconds > 0}


def _count_launches(recorded: profile) -> int:
    return sum(event.count for event in recorded.key_averages() if "LaunchKernel" in event.key)


def ratio(first: StepCost, second: StepCost) -> Spread:
    """Speed of the first over the speed of the second, from pairs of neighboring repetitions."""
    pairs = zip(first.seconds_per_image, second.seconds_per_image, strict=True)
    return Spread.of([slow / fast for fast, slow in pairs])
