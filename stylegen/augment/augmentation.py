"""What training holds: a pipeline and its strength."""

from typing import Protocol

from torch import Tensor

from stylegen.augment.augment_inputs import AugmentDraws
from stylegen.augment.controller import Controller


class Pipeline(Protocol):
    """Pictures [N, C, H, W] in [-1, 1], strength p, random numbers -> pictures of the same shape.

    Each picture by itself; differentiable twice with respect to the pictures; the identity at p = 0.
    """

    def __call__(self, images: Tensor, p: float, draws: AugmentDraws) -> Tensor: ...


class Augmentation:
    """Augments whatever the discriminator sees.

    Args:
        pipeline: the operations.
        controller: their strength.
    """

    def __init__(self, pipeline: Pipeline, controller: Controller) -> None:
        self.pipeline, self.controller = pipeline, controller

    def __call__(self, images: Tensor, draws: AugmentDraws) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> the same shape, at the strength of this moment."""
        return self.pipeline(images, self.controller.p, draws)
