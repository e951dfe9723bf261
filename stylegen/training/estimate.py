"""Estimates the length of a training before its first step, from the time of single forward passes.

A backward pass takes about two forward passes (one if the weights get no gradient), a term with double
backward about seven. Adaptive augmentation counts as if p were not 0. Evaluations, samples and checkpoints are not
included.
"""

import time
from typing import Any

import torch
from torch import Tensor

from stylegen.regularizers import Regularizer
from stylegen.training.random_inputs import InputSpec
from stylegen.training.step import TrainingStep

# Forward passes of "G", "D" and "augment" in the main phases; D's augmentations are without gradients.
_MAIN_G = {"G": 3, "D": 2, "augment": 3}  # 1 + 2; 1 + 1; 1 + 2
_MAIN_D = {"G": 1, "D": 6, "augment": 2}  # 1; 2 + 2 * 2; 1 + 1
_REAL_IN_G = {"G": 0, "D": 1, "augment": 1}  # of a loss whose G compares with real images
_LEAST_P = 0.1  # adaptive augmentation starts at 0, where it costs nothing
_TWICE = 7  # forward, backward, and the backward passes of both
_ONCE = 3  # forward and backward
_MOMENTS = 16  # samples of the growth schedule
_MAX_IMAGES = 16  # of a timed pass
_SLOW = 2.0  # seconds; a pass that takes longer is not repeated


@torch.no_grad()
def seconds_left(step: TrainingStep, total_images: int, batch_size: int, processes: int) -> float:
    """Estimated seconds from the step's clock to the end of the run; the step is unchanged.

    Args:
        batch_size: images per step without growth; with growth, the schedule defines it.
        processes: number of ranks.
    """
    networks: tuple[Any, ...] = (step.G_ema, step.D)
    levels = [network.level for network in networks] if step.growth else []
    left = max(total_images - step.images_seen, 0)
    moments = [step.images_seen + left * i // _MOMENTS for i in range(_MOMENTS)] if step.growth else [0]
    known: dict[int, float] = {}
    costs = []
    try:
        for moment in moments:
            stage = step.growth.at(moment) if step.growth else None
            resolution = stage.resolution if stage else step.G_ema.level.resolution
            if resolution not in known:
                for network in networks if stage else ():
                    network.set_level(resolution)
                share = max((stage.batch_size if stage else batch_size) // processes, 1)
                known[resolution] = _seconds_per_image(step, min(share, step.options.batch_per_device or share))
            costs.append(known[resolution])
    finally:
        for network, level in zip(networks, levels, strict=False):
            network.set_level(level.resolution, level.alpha)
    return left * sum(costs) / len(costs) / processes


def _seconds_per_image(step: TrainingStep, share: int) -> float:
    """Estimated seconds per image of a training step on one rank."""
    seconds = _timed_passes(step, 1)
    count = min(share, _MAX_IMAGES)
    if sum(seconds.values()) < _SLOW:  # the first pass warms up
        first, second = _timed_passes(step, count), _timed_passes(step, count)
        seconds = {name: min(first[name], second[name]) / count for name in first}  # other processes delay one
    turns = {"G": 1 / step.options.d_steps_per_g_step, "D": 1.0}  # of a network in a step
    real = step.loss.generator_sees_real
    passes = {k: _MAIN_D[k] + turns["G"] * (_MAIN_G[k] + real * _REAL_IN_G[k]) for k in _MAIN_D}
    for regularizer in step.regularizers.values():
        network, every = regularizer.network, regularizer.every * regularizer.batch_shrink
        passes[network] += turns[network] * _passes(regularizer) / every
    return sum(passes[name] * seconds[name] for name in seconds)


def _passes(regularizer: Regularizer) -> int:
    """Forward passes of its network that take the time of a term."""
    if not regularizer.sources:  # a term or constraint of the weights
        return 0
    if regularizer.network == "G":
        return _TWICE
    return _TWICE * len(regularizer.differentiates) or _ONCE * len(regularizer.views)


def _timed_passes(step: TrainingStep, count: int) -> dict[str, float]:
    """Seconds of one forward pass of G_ema ("G"), one of D, and one of the augmentation, with `count` images."""
    G, D = step.G_ema, step.D
    indices = torch.arange(count, device=step.device)
    times = [_now(step.device)]
    spec = InputSpec(count, noise_sizes=G.synthesis.noise_sizes)
    inputs = step.random_inputs.generate("estimate", indices, spec).synthesis
    assert inputs is not None
    w = G.mapping(inputs.z, inputs.labels)
    images = G.synthesis(w.unsqueeze(1).repeat(1, G.num_ws, 1), inputs.noise)
    times.append(_now(step.device))
    D(images, inputs.labels)
    times.append(_now(step.device))
    if step.augment is not None:
        _augmented(step, images, indices)
    times.append(_now(step.device))
    return {name: end - begin for name, begin, end in zip(("G", "D", "augment"), times, times[1:], strict=False)}


def _augmented(step: TrainingStep, images: Tensor, indices: Tensor) -> Tensor:
    """The images as the discriminator may see them later."""
    assert step.augment is not None
    pipeline, controller = step.augment.pipeline, step.augment.controller
    spec = InputSpec(
        image_shape=images.shape[1:], views=("fake",), augmented=True, image_noise=pipeline.uses_image_noise
    )
    inputs = step.random_inputs.generate("estimate", indices, spec).augment["fake"]
    fixed = controller.target is None and controller.schedule.is_constant
    return pipeline(images, controller.p if fixed else max(controller.p, _LEAST_P), inputs)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
