"""Checks the content of a checkpoint before any of it is loaded.

Adam's fused kernel reads out of bounds if the moments have a wrong shape, and a missing field would fail in the middle
of loading. The file's hash prevents neither: anyone who can write the file can write its hash.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import tensor_problems
from stylegen.training.step import TrainingStep

_MOMENTS = ("exp_avg", "exp_avg_sq")


def content_problem(checkpoint: Any, size: int, step: TrainingStep | None = None) -> str | None:
    """The first problem of a loaded checkpoint, as a short text; None if a run can continue from it.

    Args:
        size: size of the file in bytes; no tensor may be larger.
        step: the step that will load it; None skips the comparison of shapes.
    """
    try:
        return next(_problems(checkpoint, size, step), None)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        return f"a field is missing or of another type ({type(error).__name__}: {error})"[:200]


def _problems(checkpoint: Any, size: int, step: TrainingStep | None) -> Iterator[str]:
    yield from _tensor_problems(checkpoint, size)
    yield from _clock_problems(checkpoint["clock"])
    if not isinstance(checkpoint["fingerprint"], str):
        yield "the fingerprint of the data is not a string"
    yield from _statistics_problems(checkpoint["statistics"])
    yield from _observer_problems(checkpoint["observers"])
    weights = checkpoint["weights"]
    if not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        yield "weights contain values that are not tensors"
    yield from (f"{name} is not finite" for name, tensor in weights.items() if not _is_finite(tensor))
    yield from _optimizer_problems(checkpoint["optimizers"])
    if step is not None:
        yield from _step_problems(checkpoint, step)


def _tensor_problems(checkpoint: Any, size: int) -> Iterator[str]:
    """Checked first: a few bytes can declare a tensor of terabytes."""
    for tensor in tensors_in(checkpoint):
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            yield "a tensor is sparse, quantized or has no values"
        elif tensor.numel() * tensor.element_size() > size:
            yield f"a tensor of shape {list(tensor.shape)} is larger than the file"


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors of nested dicts, lists and tuples."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from tensors_in(value)


def _clock_problems(clock: Mapping[str, Any]) -> Iterator[str]:
    for key in ("images_seen", "steps", "attempt"):
        if type(clock[key]) is not int or not 0 <= clock[key] < 2**53:
            yield f"clock.{key}={clock[key]!r:.40} is not a count"
    if not all(isinstance(streak, float) and streak >= 0 for streak in clock["streaks"]):
        yield "clock.streaks are not counts"


def _statistics_problems(statistics: Mapping[str, Any]) -> Iterator[str]:
    for name, pairs in statistics.items():
        if not isinstance(name, str) or pairs.ndim != 2 or pairs.shape[1] != 2 or not pairs.is_floating_point():
            yield "the statistics are not sums"


def _observer_problems(observers: Mapping[str, Any]) -> Iterator[str]:
    offset, evaluation = observers["log"]["offset"], observers["evaluation"]
    if type(offset) is not int or offset < 0:
        yield "observers.log.offset is not a length"
    best = evaluation["best"]
    if best is not None and not (isinstance(best["metric"], str) and _is_number(best["value"], best["kimg"])):
        yield "the best metric is damaged"
    pending = evaluation.get("pending", evaluation.get("owed"))  # "owed" in earlier checkpoints
    if not isinstance(pending, bool) or not _is_number(evaluation["spent"], evaluation["elapsed"]):
        yield "the state of the evaluation is damaged"


def _optimizer_problems(optimizers: Mapping[str, Any]) -> Iterator[str]:
    if set(optimizers) != {"G", "D"}:
        yield f"it holds {len(optimizers)} optimizers instead of G's and D's"
    for network, optimizer in optimizers.items():
        (group,) = optimizer["param_groups"]
        numbers = group["params"]
        if numbers != list(range(len(numbers))) or not set(optimizer["state"]) <= set(numbers):
            yield f"the optimizer of {network} does not number its parameters from 0"
        if not _is_number(group["lr"], group["eps"], *group["betas"]) or min(group["lr"], group["eps"]) < 0:
            yield f"the rates of the optimizer of {network} are invalid"
        for number, state in optimizer["state"].items():
            yield from (f"optimizer of {network}, parameter {number}: {p}" for p in _state_problems(state))


def _state_problems(state: Mapping[str, Any]) -> Iterator[str]:
    if set(state) != {"step", *_MOMENTS}:
        yield f"it holds {', '.join(map(str, state))}"
    step, first, second = (state[key] for key in ("step", *_MOMENTS))
    if step.shape != () or step.dtype != torch.float32 or not (step.isfinite() and step >= 0):
        yield "step is not a count"
    if first.shape != second.shape or first.dtype != second.dtype:
        yield f"moments of shapes {list(first.shape)} and {list(second.shape)}"
    elif not (_is_finite(first) and _is_finite(second) and bool((second >= 0).all())):
        yield "moments that are not finite, or squares below 0"


def _step_problems(checkpoint: Mapping[str, Any], step: TrainingStep) -> Iterator[str]:
    yield from tensor_problems(checkpoint["weights"], step.modules.state_dict())
    if len(checkpoint["clock"]["streaks"]) != len(step.phases):
        yield "clock.streaks does not match the phases"
    if step.augment is not None:
        yield from _augment_problems(checkpoint["augment"])
    for network, optimizer in step.optimizers.items():
        saved, (group,) = checkpoint["optimizers"][network], optimizer.param_groups
        parameters = group["params"]
        if len(saved["param_groups"][0]["params"]) != len(parameters):
            yield f"the optimizer of {network} has other parameters"
        for number, state in saved["state"].items():
            moments = {key: state[key] for key in _MOMENTS}
            problems = tensor_problems(moments, dict.fromkeys(_MOMENTS, parameters[number]))
            yield from (f"optimizer of {network}, parameter {number}: {p}" for p in problems)
        yield from _group_problems(network, saved["param_groups"][0], group)


def _group_problems(network: str, saved: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    """The flags that select the kernel must not come from the file."""
    for key in ("amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused", "weight_decay"):
        if saved.get(key, expected.get(key)) != expected.get(key):
            yield f"the optimizer of {network} has {key}={saved[key]!r:.40}"


def _augment_problems(state: Mapping[str, Any]) -> Iterator[str]:
    if not _is_number(state["p"], state["signs"], state["images"]) or not 0 <= state["p"] <= 1:
        yield "the augmentation strength is not a number from 0 to 1"
    if type(state["steps"]) is not int or state["steps"] < 0:
        yield "augment.steps is not a count"


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _is_number(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
