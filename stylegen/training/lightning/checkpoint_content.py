"""What a checkpoint must hold before anything of it is restored.

Adam's fused kernel would read moments of a wrong shape beyond their ends, and a field that is missing would end the run
in the middle of being restored. A hash does not help against either: it vouches for bytes, not for who wrote them, and
older checkpoints have none.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stylegen.training.lightning.module import StyleGANModule

_MOMENTS = ("exp_avg", "exp_avg_sq")


def content_problem(checkpoint: Any, size: int, module: StyleGANModule | None = None) -> str | None:
    """What is wrong with a loaded checkpoint, in a few words; None if a run can continue from it.

    Args:
        size: of the file in bytes; a tensor that claims more is not looked at.
        module: that is to be continued; without one, its shapes are not compared.
    """
    try:
        return next(_problems(checkpoint, size, module), None)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        return f"a field is missing or of another type ({type(error).__name__}: {error})"[:200]


def _problems(checkpoint: Any, size: int, module: StyleGANModule | None) -> Iterator[str]:
    yield from _tensor_problems(checkpoint, size)
    yield from _clock_problems(checkpoint["clock"])
    if not isinstance(checkpoint["pytorch-lightning_version"], str):
        yield "pytorch-lightning_version is no text"
    # Ours have no business there, and Lightning would act on it.
    for key, kind in {"epoch": int, "global_step": int, "callbacks": dict, "lr_schedulers": list}.items():
        if not isinstance(checkpoint[key], kind):
            yield f"{key} is no {kind.__name__}"
    if [int(part) for part in checkpoint["pytorch-lightning_version"].split(".")[:2]] < [1, 0]:
        yield "pytorch-lightning_version is too old"
    if not isinstance(checkpoint["TrainingData"]["fingerprint"], str):
        yield "the fingerprint of the data is no text"
    yield from _callback_problems(checkpoint["callbacks"])
    weights, optimizers = checkpoint["state_dict"], checkpoint["optimizer_states"]
    if not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        yield "state_dict holds something else than tensors"
    yield from (f"{name} is not finite" for name, tensor in weights.items() if not _is_finite(tensor))
    yield from _optimizer_problems(optimizers)
    if module is not None:
        yield from _module_problems(checkpoint, module)


def _tensor_problems(checkpoint: Any, size: int) -> Iterator[str]:
    """Before any arithmetic: a few bytes can claim to be a tensor of terabytes."""
    for tensor in tensors_in(checkpoint):
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            yield "a tensor is sparse, quantised or has no values"
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
            yield f"clock.{key}={clock[key]!r:.40} is no count"
    if not all(isinstance(streak, float) and streak >= 0 for streak in clock["streaks"]):
        yield "clock.streaks are no counts"


def _callback_problems(callbacks: Mapping[str, Any]) -> Iterator[str]:
    for name, state in callbacks.items():
        if not isinstance(name, str) or not isinstance(state, dict):
            yield "callbacks hold something else than states by name"
    logbook, checkpoints, evaluation = (
        callbacks.get(name) for name in ("Logbook", "Checkpoints", "EvaluationCallback")
    )
    if logbook is not None:
        statistics = logbook["statistics"]
        if type(logbook["offset"]) is not int or logbook["offset"] < 0 or not isinstance(statistics, dict | None):
            yield "the state of Logbook is damaged"
        for pairs in (statistics or {}).values():
            if pairs.ndim != 2 or pairs.shape[1] != 2 or not pairs.is_floating_point():
                yield "the statistics of Logbook are no sums"
    for state in (checkpoints, evaluation):
        best = None if state is None else state["best"]
        if best is not None and not (isinstance(best["metric"], str) and _is_number(best["value"], best["kimg"])):
            yield "the best score is damaged"
    if evaluation is not None:
        spent = evaluation.get("spent", 0.0), evaluation.get("elapsed", 0.0)
        if not isinstance(evaluation.get("owed", False), bool) or not _is_number(*spent):
            yield "the state of EvaluationCallback is damaged"


def _optimizer_problems(optimizers: Sequence[Any]) -> Iterator[str]:
    if len(optimizers) != 2:
        yield f"it holds {len(optimizers)} optimizers, not those of G and D"
    for network, optimizer in zip("GD", optimizers, strict=False):
        (group,) = optimizer["param_groups"]
        numbers = group["params"]
        if numbers != list(range(len(numbers))) or not set(optimizer["state"]) <= set(numbers):
            yield f"the optimizer of {network} does not count its parameters"
        if not _is_number(group["lr"], group["eps"], *group["betas"]) or min(group["lr"], group["eps"]) < 0:
            yield f"the rates of the optimizer of {network} are no numbers"
        for number, state in optimizer["state"].items():
            yield from (f"optimizer of {network}, parameter {number}: {p}" for p in _state_problems(state))


def _state_problems(state: Mapping[str, Any]) -> Iterator[str]:
    if set(state) != {"step", *_MOMENTS}:
        yield f"it holds {', '.join(map(str, state))}"
    step, first, second = (state[key] for key in ("step", *_MOMENTS))
    if step.shape != () or step.dtype != torch.float32 or not (step.isfinite() and step >= 0):
        yield "step is no count"
    if first.shape != second.shape or first.dtype != second.dtype:
        yield f"moments of shapes {list(first.shape)} and {list(second.shape)}"
    elif not (_is_finite(first) and _is_finite(second) and bool((second >= 0).all())):
        yield "moments that are not finite, or squares below 0"


def _module_problems(checkpoint: Mapping[str, Any], module: StyleGANModule) -> Iterator[str]:
    own, found = module.state_dict(), checkpoint["state_dict"]
    yield from (f"{name} is missing" for name in own if name not in found)
    yield from (f"{name} is unknown" for name in found if name not in own)
    for name, tensor in own.items():
        yield from (f"{name} {p}" for p in _differences(found[name], tensor))
    if len(checkpoint["clock"]["streaks"]) != len(module.phases):
        yield "clock.streaks are those of other phases"
    if module.augment is not None:
        yield from _augment_problems(checkpoint["augment"])
    optimizers = zip("GD", module.configure_optimizers(), checkpoint["optimizer_states"], strict=True)
    for network, optimizer, saved in optimizers:
        parameters = optimizer.param_groups[0]["params"]
        if len(saved["param_groups"][0]["params"]) != len(parameters):
            yield f"the optimizer of {network} has other parameters"
        for number, state in saved["state"].items():
            problems = (p for key in _MOMENTS for p in _differences(state[key], parameters[number]))
            yield from (f"optimizer of {network}, parameter {number}: moment {p}" for p in problems)
        yield from _group_problems(network, saved["param_groups"][0], optimizer.param_groups[0])


def _group_problems(network: str, saved: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Which kernel runs, and what it reads: none of it may come from the file."""
    for key in ("amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused", "weight_decay"):
        if saved.get(key, own.get(key)) != own.get(key):
            yield f"the optimizer of {network} has {key}={saved[key]!r:.40}"


def _augment_problems(state: Mapping[str, Any]) -> Iterator[str]:
    if not _is_number(state["p"], state["signs"], state["images"]) or not 0 <= state["p"] <= 1:
        yield "the strength of augmentation is no number from 0 to 1"
    if type(state["steps"]) is not int or state["steps"] < 0:
        yield "augment.steps is no count"


def _differences(found: Tensor, expected: Tensor) -> Iterator[str]:
    if found.shape != expected.shape:
        yield f"has shape {list(found.shape)} instead of {list(expected.shape)}"
    elif found.dtype != expected.dtype:
        yield f"has dtype {found.dtype} instead of {expected.dtype}"


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _is_number(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
