"""Balanced consistency regularization (Zhao et al. 2021, arXiv 2002.04724)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stylegen.bounds import Interval, Share, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


def flip_and_shift(images: Tensor, numbers: Tensor, shift: float) -> Tensor:
    """Horizontal flips with probability 1/2, and shifts by whole pixels with reflected borders.

    Args:
        images: [N, C, H, W].
        numbers: [N, 3], uniform in [0, 1): for the flip and the shifts along H and W.
        shift: largest shift as a share of the side.
    """
    count, _, height, width = images.shape
    flips = numbers[:, 0] < 0.5
    rows, columns = (
        _shifted(side, torch.floor((2 * largest + 1) * numbers[:, k]) - largest)
        for k, side, largest in ((1, height, int(shift * height)), (2, width, int(shift * width)))
    )
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    every = torch.arange(count, device=images.device)[:, None, None]
    return images.movedim(1, -1)[every, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _shifted(side: int, offsets: Tensor) -> Tensor:
    """Positions 0 ... side - 1 plus offsets [N], reflected at both ends: int64 [N, side]."""
    positions = torch.arange(side, device=offsets.device)[None] + offsets.long()[:, None]
    return (side - 1 - (positions.abs() - (side - 1)).abs()).abs()


class BCR(Regularizer):
    """real_weight * E (D(x) - D(T(x)))^2 + fake_weight * E (D(x') - D(T(x')))^2 over real x and generated x'.

    T flips and shifts each image at random. Both logits are differentiated. With `augment`, T acts before it.

    Args:
        real_weight, fake_weight: factors of the two terms.
        shift: largest shift as a share of the side; 1/8 is 4 of 32 pixels.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake", "real")
    views = ("fake/transformed", "real/transformed")

    def __init__(
        self, real_weight: Weight = 10.0, fake_weight: Weight = 10.0, shift: Share = 0.125, every: Interval = 1
    ) -> None:
        check_arguments("regularizers.bcr", BCR, locals())
        super().__init__(every)
        self.real_weight, self.fake_weight, self.shift = real_weight, fake_weight, shift

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return {"real": Request("uniform", (3,)), "fake": Request("uniform", (3,))}

    def measure(self, batch: CriticBatch) -> tuple[Tensor, ...]:
        return tuple(self._distances(batch, source) for source in ("real", "fake"))

    def combine(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.real_weight * real.mean() + self.fake_weight * fake.mean()

    def _distances(self, batch: CriticBatch, source: str) -> Tensor:
        images = flip_and_shift(batch.images(source).detach(), batch.random[source], self.shift)
        other = batch.outputs_for(images, f"{source}/transformed").logits
        return (batch.outputs(source).logits - other)[:, 0].square()
