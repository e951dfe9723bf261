"""How long a training will take, before its first step: single passes are timed, and counted as a step has them.

A backward pass costs about twice its forward pass (once where the weights get no gradient), and a term that is
differentiated twice about seven forward passes. Evaluations, samples and checkpoints come on top.
"""

import time
from collections.abc import Iterable
from typing import Any

import torch

from stylegen.training.lightning.module import StyleGANModule

_MAIN_G, _MAIN_D = 4, 8  # forward passes that both main phases are worth: G 1 + 2 + 1; D 1 + 1 and 2 + 2 * 2
_TWICE = 7  # forward, backward, and the backward pass of both
_MOMENTS = 16  # of the schedule, where networks grow
_MOST_IMAGES = 16  # in a timed pass
_SLOW = 2.0  # seconds; a pass that takes so long is not repeated


@torch.no_grad()
def seconds_left(module: StyleGANModule, total_images: int, batch_size: int, processes: int) -> float:
    """Estimate of the time from the module's moment to the end; changes nothing in the module.

    Args:
        batch_size: images a step, where networks do not grow; the schedule has it where they do.
        processes: that share a batch.
    """
    networks: tuple[Any, ...] = (module.G_ema, module.D)
    levels = [network.level for network in networks] if module.growth else []
    left = max(total_images - module.images_seen, 0)
    moments = [module.images_seen + left * i // _MOMENTS for i in range(_MOMENTS)] if module.growth else [0]
    known: dict[int, float] = {}
    costs = []
    try:
        for moment in moments:
            stage = module.growth.at(moment) if module.growth else None
            resolution = stage.resolution if stage else module.G_ema.level.resolution
            if resolution not in known:
                for network in networks if stage else ():
                    network.set_level(resolution)
                share = max((stage.batch_size if stage else batch_size) // processes, 1)
                known[resolution] = _seconds_per_image(module, min(share, module.batch_per_device or share))
            costs.append(known[resolution])
    finally:
        for network, level in zip(networks, levels, strict=False):
            network.set_level(level.resolution, level.alpha)
    return left * sum(costs) / len(costs) / processes


def _seconds_per_image(module: StyleGANModule, share: int) -> float:
    """Of a training step in one process."""
    generator, discriminator = _timed_passes(module, 1)
    count = min(share, _MOST_IMAGES)
    if generator + discriminator < _SLOW:  # the first pass warms up
        generator, discriminator = (seconds / count for seconds in _timed_passes(module, count))
    passes = {"G": float(_MAIN_G), "D": float(_MAIN_D)}
    regularizers: Iterable[Any] = module.regularizers.values()
    for regularizer in regularizers:
        passes[regularizer.network] += _TWICE / (regularizer.every * regularizer.batch_shrink)
    return passes["G"] * generator + passes["D"] * discriminator


def _timed_passes(module: StyleGANModule, count: int) -> tuple[float, float]:
    """Seconds of one forward pass of G_ema and one of D, with `count` images."""
    G, D, draws = module.G_ema, module.D, module.draws
    indices = torch.arange(count, device=module.device)
    latents, labels = draws.latents("estimate", indices), draws.labels("estimate", indices)
    begun = _now(module.device)
    w = G.mapping(latents, labels)
    noise = draws.noise("estimate", indices, G.synthesis.noise_sizes)
    images = G.synthesis(w.unsqueeze(1).repeat(1, G.num_ws, 1), noise)
    generated = _now(module.device)
    D(images, labels)
    return generated - begun, _now(module.device) - generated


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
