"""The random inputs of training: one object hands out all of them.

Everything is keyed by (seed, phase and purpose, global image index), so a step's inputs are the same whatever the
number of ranks and micro-batches, and whether or not the run was ever interrupted. Tests hand in another object.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.augment import AugmentDraws, KeyedAugmentDraws
from stylegen.one_hot import OneHot
from stylegen.randomness import attempt_purpose


class Draws(Protocol):
    """What a training step asks for. `phase` names the asking phase; `indices` int64 [N] are global image indices.

    Attributes:
        attempt: part of every key; see `TrainingStep.attempt`.
    """

    attempt: int

    def latents(self, phase: str, indices: Tensor) -> Tensor:
        """z [N, z_dim]."""
        ...

    def labels(self, phase: str, indices: Tensor) -> Tensor:
        """c [N, num_classes] for generated pictures."""
        ...

    def mixing(self, phase: str, indices: Tensor, num_ws: int) -> tuple[Tensor, Tensor] | None:
        """A second z [N, z_dim] and the layer [N] from which it takes over; None where styles are never mixed.

        Args:
            num_ws: layers that are active; the second takes over at one of them, or `num_ws` for nowhere.
        """
        ...

    def noise(self, phase: str, indices: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """One [N, 1, r, r] for each r of `sizes`."""
        ...

    def direction(self, phase: str, indices: Tensor, shape: Sequence[int]) -> Tensor:
        """Standard normal [N, *shape] for the path length."""
        ...

    def augmentation(self, phase: str, source: str, indices: Tensor) -> AugmentDraws:
        """For the augmentation of N pictures; `source` is "real" or "fake"."""
        ...


class KeyedDraws:
    """`Draws` from the counter-based generator.

    Args:
        seed: of the run.
        z_dim: width of z.
        label_table: [M, num_classes], the dataset's labels; generated pictures get those of random items.
        mixing_prob: probability of style mixing a picture (Karras et al. 2019, section 3.1).
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
        # Layer by layer: the words behind all layers of a large picture at once would fill gigabytes.
        purposes = [self._purpose(phase, f"noise{k}") for k in range(len(sizes))]
        return [
            randomness.normal(self.seed, purpose, indices, (1, r, r))
            for purpose, r in zip(purposes, sizes, strict=True)
        ]

    def direction(self, phase: str, indices: Tensor, shape: Sequence[int]) -> Tensor:
        return randomness.normal(self.seed, self._purpose(phase, "direction"), indices, shape)

    def augmentation(self, phase: str, source: str, indices: Tensor) -> AugmentDraws:
        return KeyedAugmentDraws(self.seed, self._purpose(phase, source), indices)
