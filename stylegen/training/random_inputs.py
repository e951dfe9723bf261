"""The random inputs of training: latents, labels, style mixing, noise, path length directions, augmentation.

They are keyed by (seed, phase and purpose, global image index), independent of the number of ranks and micro-batches,
and of interruptions.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.augment import AugmentDraws
from stylegen.one_hot import OneHot
from stylegen.randomness import attempt_purpose


class Draws(Protocol):
    """Random inputs of a training step; `phase` is the name of a phase, `indices` [N] are global image indices.

    Attributes:
        attempt: part of every key; see `TrainingStep.attempt`.
    """

    attempt: int

    def latents(self, phase: str, indices: Tensor) -> Tensor:
        """z [N, z_dim]."""

    def labels(self, phase: str, indices: Tensor) -> Tensor:
        """c [N, num_classes] for generated images."""

    def mixing(self, phase: str, indices: Tensor, num_ws: int) -> tuple[Tensor, Tensor] | None:
        """A second z [N, z_dim] and the first layer [N] that uses it; None without style mixing.

        Args:
            num_ws: number of active layers; a first layer of `num_ws` means no mixing.
        """

    def noise(self, phase: str, indices: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """One [N, 1, r, r] for each r of `sizes`."""

    def direction(self, phase: str, indices: Tensor, shape: Sequence[int]) -> Tensor:
        """Standard normal [N, *shape] for the path length."""

    def augmentation(self, phase: str, source: str, indices: Tensor) -> AugmentDraws:
        """Random inputs of the augmentation of N images; `source` is "real" or "fake"."""


class KeyedDraws:
    """`Draws` from the counter-based random number generator.

    Args:
        seed: of the run.
        z_dim: width of z.
        label_table: [M, num_classes], the labels of the dataset, sampled for generated images.
        mixing_prob: probability of style mixing for an image (Karras et al. 2019, section 3.1).
    """

    def __init__(self, seed: int, z_dim: int, label_table: Tensor | OneHot, mixing_prob: float = 0.9) -> None:
        self.seed, self.z_dim, self.label_table, self.mixing_prob = seed, z_dim, label_table, mixing_prob
        self.attempt = 0

    def _purpose(self, phase: str, what: str) -> str:
        return attempt_purpose(f"{phase}/{what}", self.attempt)

    def latents(self, phase: str, indices: Tensor) -> Tensor:
        return randomness.normal(self.seed, self._purpose(phase, "z"), indices, (self.z_dim,))

    def labels(self, phase: str, indices: Tensor) -> Tensor:
        if self.label_table.shape[1] == 0:
            return torch.zeros(len(indices), 0, device=indices.device)
        if self.label_table.device != indices.device:
            self.label_table = self.label_table.to(indices.device)  # once
        items = randomness.integers(len(self.label_table), self.seed, self._purpose(phase, "label"), indices)
        return self.label_table[items]

    def mixing(self, phase: str, indices: Tensor, num_ws: int) -> tuple[Tensor, Tensor] | None:
        if self.mixing_prob == 0 or num_ws == 1:
            return None
        second = randomness.normal(self.seed, self._purpose(phase, "mixing_z"), indices, (self.z_dim,))
        layer = 1 + randomness.integers(num_ws - 1, self.seed, self._purpose(phase, "mixing_layer"), indices)
        mixed = randomness.uniform(self.seed, self._purpose(phase, "mixing"), indices) < self.mixing_prob
        return second, torch.where(mixed, layer, num_ws)

    def noise(self, phase: str, indices: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        # Layer by layer: the random words for all layers of a large image at once would take gigabytes.
        purposes = [self._purpose(phase, f"noise{k}") for k in range(len(sizes))]
        return [
            randomness.normal(self.seed, purpose, indices, (1, r, r))
            for purpose, r in zip(purposes, sizes, strict=True)
        ]

    def direction(self, phase: str, indices: Tensor, shape: Sequence[int]) -> Tensor:
        return randomness.normal(self.seed, self._purpose(phase, "direction"), indices, shape)

    def augmentation(self, phase: str, source: str, indices: Tensor) -> AugmentDraws:
        return AugmentDraws(self.seed, self._purpose(phase, source), indices)
