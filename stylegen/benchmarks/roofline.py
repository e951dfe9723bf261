"""The roofline of a training step (Williams et al. 2009): the time below which no step of these operations can be;
`bench what=roofline`.

An operation of f floating-point operations that reads and writes b bytes takes at least max(f / F, b / B) seconds on a
machine that multiplies matrices at F per second and copies memory at B bytes per second. f and b come from shapes, so
any resolution can be computed on any machine. Operations that find their arguments in a cache can be faster than this
bound: it holds for tensors that exceed the caches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from stylegen.benchmarks.benchmark_report import Report, Table
from stylegen.benchmarks.machine import copy_rate, describe_machine, matmul_rate, one_line
from stylegen.benchmarks.memory_use import fake_step
from stylegen.benchmarks.operation_counts import OperationCounts
from stylegen.benchmarks.training_setup import Subject, subjects
from stylegen.config.sections import as_dict
from stylegen.config.settings import BenchSettings
from stylegen.training.phases import Phase

_HEAD = ("phase", "every", "GFLOP/image", "GB/image", "FLOP/byte", "ms/image, FLOPs", "bytes", "operations", "bound by")


@dataclass(frozen=True)
class PhaseBound:
    """Least time of a phase on the steps that run it, per image.

    Attributes:
        interval: steps from one run of the phase to the next.
        flops, bytes: sums over all operations; bytes of arguments and results.
        compute_seconds: flops at the rate of matrix products: all else fused and free.
        memory_seconds: bytes at the rate of copies.
        operation_seconds: the sum over operations of the larger of the two: no fusion.
    """

    name: str
    interval: int
    flops: float
    bytes: float
    compute_seconds: float
    memory_seconds: float
    operation_seconds: float


def bounds(subject: Subject, images: int, flop_rate: float, byte_rate: float) -> list[PhaseBound]:
    """The bound of each phase, for a batch of `images`."""
    found = []
    for phase, counts in _counts(subject, images):
        flops, size = (float(sum(column)) / images for column in zip(*counts.work, strict=True))
        slowest = sum(max(f / flop_rate, b / byte_rate) for f, b in counts.work) / images
        found.append(PhaseBound(phase.name, phase.interval, flops, size, flops / flop_rate, size / byte_rate, slowest))
    return found


def _counts(subject: Subject, images: int) -> list[tuple[Phase, OperationCounts]]:
    found = []

    @contextmanager
    def count(phase: Phase) -> Iterator[None]:
        with OperationCounts() as counts:
            yield
        found.append((phase, counts))

    with fake_step(subject, images, images) as (step, inputs):
        step.watch, step.steps = count, 0  # every phase is due
        step(*inputs)
    return found


def whole(phases: list[PhaseBound]) -> PhaseBound:
    """A step, with phases at their intervals."""
    numbers = [asdict(phase) for phase in phases]
    keys = [key for key in numbers[0] if key not in ("name", "interval")]
    return PhaseBound("step", 1, **{key: sum(row[key] / row["interval"] for row in numbers) for key in keys})


def roofline(settings: BenchSettings) -> Report:
    """FLOPs and bytes of a step from shapes, and the time that this machine needs for them at least.

    Raises:
        UserError: settings that cannot be trained.
    """
    with subjects(settings) as (subject,):
        subject.use()
        flop_rate = matmul_rate(subject.device, subject.dtype)
        byte_rate = copy_rate(subject.device)
        phases = bounds(subject, subject.batch_size, flop_rate, byte_rate)
        machine = describe_machine(subject.device)
    step = whole(phases)
    notes = [
        f"{subject.label}: {subject.dataset.spec.resolution} px, batch {subject.batch_size}, "
        f"{subject.settings.precision}, {subject.threads} thread(s)",
        f"matrix products {flop_rate / 1e9:,.4g} GFLOP/s, copies {byte_rate / 1e9:,.3g} GB/s: "
        f"below {flop_rate / byte_rate:.3g} FLOP/byte an operation is bound by memory",
        f"at least {step.compute_seconds * 1000:.3g} s/kimg with everything fused, "
        f"{step.operation_seconds * 1000:.3g} s/kimg operation by operation",
    ]
    values = {
        "machine": machine,
        "settings": as_dict(subject.settings),
        "matmul_flops_per_second": flop_rate,
        "copy_bytes_per_second": byte_rate,
        "phases": [asdict(phase) for phase in phases],
        "step": asdict(step),
    }
    rows = [_row(phase) for phase in (*phases, step)]
    return Report("roofline", [Table((one_line(machine),), []), Table(_HEAD, rows, notes)], values)


def _row(phase: PhaseBound) -> tuple[str, ...]:
    return (
        phase.name,
        str(phase.interval),
        f"{phase.flops / 1e9:.3g}",
        f"{phase.bytes / 1e9:.3g}",
        f"{phase.flops / phase.bytes:.3g}",
        f"{phase.compute_seconds * 1000:.3g}",
        f"{phase.memory_seconds * 1000:.3g}",
        f"{phase.operation_seconds * 1000:.3g}",
        "FLOPs" if phase.compute_seconds > phase.memory_seconds else "bytes",
    )
