"""Random inputs of augmentations, set by the test."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.augment.augment_inputs import AugmentInputs, augment_inputs, augment_requests


class FixedInputs:
    """Fixed inputs. Operations that are not named have a closed gate, uniform 1/2 and normal 0.

    Args:
        count: images.
        values: uniforms and normals by name, one for all images or one for each; opens their gates.
    """

    def __init__(self, count: int = 1, **values: float | list[float]) -> None:
        self.count, self.values = count, values

    def _value(self, name: str, default: float) -> Tensor:
        return torch.as_tensor(self.values.get(name, default), dtype=torch.float32).expand(self.count)

    def gate(self, name: str, probability: float) -> Tensor:
        opened = any(key == name or key.startswith(f"{name}_") for key in self.values)
        return torch.full((self.count,), opened)

    def uniform(self, name: str) -> Tensor:
        return self._value(name, 0.5)

    def normal(self, name: str) -> Tensor:
        return self._value(name, 0.0)

    image_noise = torch.ones(())


def keyed_inputs(seed: int, purpose: str, indices: Tensor, noise_shape: Sequence[int] | None = None) -> AugmentInputs:
    """The inputs of the images with these indices, int64 [N], keyed by (seed, purpose, index)."""
    return augment_inputs(purpose, randomness.generate(seed, indices, augment_requests(purpose, noise_shape)))


def keyed(
    count: int = 4, purpose: str = "D_main/real", first: int = 0, noise: Sequence[int] = (3, 16, 16)
) -> AugmentInputs:
    """Inputs of the images `first`, ..., with additive noise of the shape `noise`."""
    return keyed_inputs(0, purpose, torch.arange(first, first + count), noise)


def noise_images(count: int = 4, channels: int = 3, height: int = 16, width: int = 16) -> Tensor:
    """Noise in [-1, 1], float64."""
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, channels, height, width, dtype=torch.float64, generator=generator) - 1


def smooth(count: int = 2, size: int = 32) -> Tensor:
    """Slow waves far below the Nyquist frequency, float64 [N, 3, size, size]."""
    x, y = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) / size] * 2, indexing="xy")
    phases = torch.arange(count * 3, dtype=torch.float64).reshape(count, 3, 1, 1)
    return torch.sin(2 * torch.pi * (x + phases / 5)) * torch.cos(2 * torch.pi * (y * 1.5 - phases / 7))
