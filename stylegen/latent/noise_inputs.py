"""Noise inputs of a synthesis network: those stored with the weights, random ones, and both at another strength."""

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.networks import StyleGenerator
from stylegen.networks.generator import Noise

_STORED = ("noise_const", "noise.const")  # ends of buffer names


def stored_noise(generator: StyleGenerator) -> list[Tensor]:
    """The noise stored with the weights, [1, 1, r, r] for each r in `noise_sizes`; empty without noise inputs."""
    stored = [n for name, n in generator.synthesis.named_buffers() if name.endswith(_STORED)]
    return [n.reshape(1, 1, *n.shape[-2:]) for n in stored[: len(generator.synthesis.noise_sizes)]]


def random_noise(generator: StyleGenerator, seeds: list[int], purpose: str = "sample") -> list[Tensor]:
    """White noise [N, 1, r, r] for each r in `noise_sizes`, a function of the seed, the layer and `purpose`."""
    weight, sizes = next(generator.parameters()), generator.synthesis.noise_sizes
    requests = {f"{purpose}/noise{k}": randomness.Request("normal", (1, r, r)) for k, r in enumerate(sizes)}
    made = randomness.generate(0, torch.tensor(seeds, device=weight.device), requests)
    return [noise.to(weight.dtype) for noise in made.values()]


def scaled_noise(generator: StyleGenerator, seeds: list[int], mode: str, strength: float = 1.0) -> Noise:
    """Noise of `mode` "const", "none" or "random", multiplied by `strength`."""
    if mode == "random":
        return [noise * strength for noise in random_noise(generator, seeds)]
    stored = stored_noise(generator) if mode == "const" and strength != 1 else []
    return [noise.expand(len(seeds), -1, -1, -1) * strength for noise in stored] or mode
