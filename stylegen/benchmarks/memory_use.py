"""Peak memory of a training step from its shapes, without allocating it; `bench what=memory`.

One step runs on fake tensors, which have a shape and no memory. The peak counts all live tensors: weights, G_ema,
gradients, Adam's moments, activations saved for the backward pass, and temporary results. It is linear in the number
of images, so two small batches predict every other. Workspaces of libraries and fragmentation come in addition. A
compiled step is predicted, and measured by what=memory, in eager mode.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from stylegen.augment.filters import forget_cached
from stylegen.benchmarks.benchmark_report import Report, Table, binary_size
from stylegen.benchmarks.machine import available_bytes, describe_machine, one_line
from stylegen.benchmarks.operation_counts import LiveMemory
from stylegen.benchmarks.stopwatch import PeakMemory
from stylegen.benchmarks.training_setup import Subject, subjects
from stylegen.config.sections import as_dict
from stylegen.config.settings import BenchSettings
from stylegen.errors import UserError
from stylegen.training.checkpoint_content import tensors_in
from stylegen.training.step import TrainingStep

_MOST = 65536  # images, the bound of batch_per_device


@contextmanager
def fake_step(subject: Subject, images: int, at_a_time: int) -> Iterator[tuple[TrainingStep, list[Tensor]]]:
    """Context manager: a step, its images and labels, all of fake tensors, which have a shape and no memory."""
    step, batch = subject.with_batch(images, at_a_time).build(), subject.batch(images)
    for network, optimizer in step.optimizers.items():  # as in the second step, where Adam has its moments
        for parameter in step.learning[network]:
            parameter.requires_grad_(True).grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with FakeCopyMode(fake):
        step = copy.deepcopy(step)
    if step.augment is not None:
        step.augment.controller.target = None  # adjusting p needs values
    try:
        with fake:
            yield step, [fake.from_tensor(tensor) for tensor in batch]
    finally:
        forget_cached()


def step_bytes(subject: Subject, images: int, at_a_time: int) -> int:
    """Peak memory of one step on `images` images in parts of `at_a_time`, from shapes."""
    with fake_step(subject, images, at_a_time) as (step, inputs), LiveMemory() as memory:
        moments = [tensor for optimizer in step.optimizers.values() for tensor in tensors_in(optimizer.state_dict())]
        for tensor in (*step.modules.state_dict().values(), *moments, *inputs):
            memory.add(tensor)
        step(*inputs)
    return memory.peak


@dataclass(frozen=True)
class MemoryModel:
    """Peak memory in bytes: fixed + per_image * part + per_waiting_image * (images - part).

    Attributes:
        unit: images of the smallest part, the groups of minibatch statistics and regularizers.
        whole: (fixed, per image) of a step whose batch is one part.
        parts: the same for several parts, which keep gradients while the next part is computed.
        waiting: bytes for each image outside the current part.
    """

    unit: int
    whole: tuple[float, float]
    parts: tuple[float, float]
    waiting: float

    @classmethod
    def of(cls, subject: Subject) -> "MemoryModel":
        unit = _unit(subject)
        once, twice = (step_bytes(subject, n, n) for n in (unit, 2 * unit))
        small, large = (step_bytes(subject, 2 * n, n) for n in (unit, 2 * unit))
        waiting = _waiting_bytes(subject)
        slope = (large - small) / unit - waiting
        return cls(
            unit,
            (2 * once - twice, (twice - once) / unit),
            (small - (slope + waiting) * unit, slope),
            waiting,
        )

    def peak(self, images: int, part: int) -> float:
        """Of a step on `images` images in parts of `part`."""
        fixed, per_image = self.whole if part >= images else self.parts
        return fixed + per_image * part + self.waiting * (images - part)

    def largest_part(self, images: int, available: float) -> int | None:
        """The largest divisor of `images` that fits; None if none does."""
        return max((part for part in self.candidates(images) if self.peak(images, part) <= available), default=None)

    def candidates(self, images: int) -> list[int]:
        """Divisors of `images` that hold whole groups."""
        return [part for part in range(1, images + 1) if images % part == 0 and (part % self.unit == 0)] or [images]

    def largest_batch(self, available: float) -> int:
        """The largest batch in one part that fits, a multiple of the unit; 0 if none does."""
        fixed, per_image = self.whole
        most = int((available - fixed) / per_image)
        return max(min(most, _MOST) // self.unit * self.unit, 0)


def _unit(subject: Subject) -> int:
    settings = subject.settings
    parts = [regularizer.get("batch_shrink", 1) for regularizer in settings.regularizers.values()]
    if settings.discriminator.arguments.get("mbstd_num_channels"):
        parts.append(min(settings.discriminator.mbstd_group_size, subject.batch_size))
    return math.lcm(*parts, 1)


def _waiting_bytes(subject: Subject) -> float:
    """Of an image outside the current part: uint8, and float32 in channels-last layout; the noise of a phase."""
    spec, noise_sizes = subject.dataset.spec, subject.build().G.synthesis.noise_sizes
    return 5.0 * spec.channels * spec.resolution**2 + 4.0 * sum(r**2 for r in noise_sizes)


def check_fits(subject: Subject) -> int:
    """Predicted peak of a step in bytes.

    Raises:
        UserError: it exceeds the memory that is available.
    """
    images = subject.batch_size
    part = min(subject.settings.batch_per_device or images, images)
    computed = min(images, 2 * part)
    needed = step_bytes(subject, computed, part) + _waiting_bytes(subject) * (images - computed)
    available = available_bytes(subject.device)
    if available is not None and needed > available:
        raise _too_large(subject, part, needed, available)
    return round(needed)


def _too_large(subject: Subject, part: int, needed: float, available: int) -> UserError:
    images, model = subject.batch_size, MemoryModel.of(subject)
    fitting, largest = model.largest_part(images, available), model.largest_batch(available)
    fix = "Use smaller generator.channel_base and discriminator.channel_base, or images of a lower resolution"
    if fitting is not None:
        fix = f"Use batch_per_device={fitting}, which gives the same training"
    elif largest:
        fix = f"Use batch_size={largest} or less"
    return UserError(
        f"{images} images per step, {part} at a time, at {subject.dataset.spec.resolution} px",
        rule=f"a training step needs {binary_size(needed)}, and {binary_size(available)} are available",
        fix=fix,
    )


def memory_use(settings: BenchSettings) -> Report:
    """Predict the memory of a step for each number of images at a time, and measure those that fit.

    Raises:
        UserError: settings that cannot be trained.
    """
    with subjects(settings) as (subject,):
        subject.use()
        before = PeakMemory(subject.device).in_use()
        model, images = MemoryModel.of(subject), subject.batch_size
        available = available_bytes(subject.device)
        limit = math.inf if available is None else available
        parts = _spaced(model.candidates(images))
        predicted = {part: model.peak(images, part) for part in parts}
        measured = {part: _measure(subject, part, before) for part in parts if predicted[part] <= limit}
        machine = describe_machine(subject.device)
        largest, part = model.largest_batch(limit), model.largest_part(images, limit)
    rows = [
        (
            str(p),
            binary_size(need),
            binary_size(measured.get(p)),
            f"{measured[p] / need:.2f}" if p in measured else "does not fit",
        )
        for p, need in predicted.items()
    ]
    notes = [
        f"{subject.label}: {subject.dataset.spec.resolution} px, {images} images per step; "
        f"{binary_size(available)} available",
        f"largest batch_per_device that fits, for batch_size={images}: {'none' if part is None else part}",
        f"largest batch that fits in one part: {largest:,}{' or more' * (largest == _MOST)}",
    ]
    values = {
        "machine": machine,
        "settings": as_dict(subject.settings),
        "batch_size": images,
        "available_bytes": available,
        "model": asdict(model),
        "predicted_bytes": predicted,
        "measured_bytes": measured,
        "largest_batch_per_device": part,
        "largest_batch": largest,
    }
    head = ("batch_per_device", "predicted", "measured", "measured / predicted")
    return Report("memory", [Table((one_line(machine),), []), Table(head, rows, notes)], values)


def _spaced(parts: list[int]) -> list[int]:
    """At most six of them, with the smallest and the largest."""
    step = -(-(len(parts) - 1) // 5) or 1
    return sorted({*parts[::-1][::step], parts[0]})


def _measure(subject: Subject, part: int, before: int) -> int:
    """Peak of two steps, above the memory in use before the first measurement; a process keeps what is freed."""
    memory = PeakMemory(subject.device)
    memory.reset()
    step, batch = subject.with_batch(subject.batch_size, part).build(), subject.batch(subject.batch_size)
    for _ in range(2):
        step.steps = 0  # every phase is due
        step(*batch)
    return memory.bytes() - before
