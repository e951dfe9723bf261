"""GAN-QP (Su 2018, arXiv 1811.07296): a quadratic potential bounds D's logits by the distance of the images."""

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from stylegen.bounds import Choice, Range, check_arguments
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss

_LEAST_DISTANCE = 1e-6  # of two images, so that equal ones do not divide by 0; a gray level is 1 / 127.5


class GANQP(Loss):
    """Real image x and generated image y of the same index, delta = D(x) - D(y):

        D: E [ -delta + delta^2 / (2 weight d(x, y)) ]          G: -E D(y)

    d is the mean of |x - y| over pixels and channels ("l1"), or the root of the mean of (x - y)^2 ("l2"). The author's
    generator loss, E delta, has the same gradient. The images are those before augmentation.

    Args:
        weight: lambda; 10 in the author's code, whose distances are means over pixels too.
        distance: "l1" or "l2".

    Raises:
        UserError: a weight out of bounds, or an unknown distance.
    """

    needs: ClassVar[tuple[str, ...]] = ("logits", "images")

    def __init__(
        self,
        weight: Annotated[float, Range(0, 1e6, above=True)] = 10.0,
        distance: Annotated[str, Choice(("l1", "l2"))] = "l1",
    ) -> None:
        check_arguments("loss", GANQP, locals())
        super().__init__()
        self.weight, self.distance = weight, distance

    @property
    def pairs_labels(self) -> bool:
        return True

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        return -fake.logits.mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        delta = real.logits - fake.logits
        return (delta.square() / (2 * self.weight * self._distances(real.images, fake.images)) - delta).mean()

    def _distances(self, x: Tensor | None, y: Tensor | None) -> Tensor:
        """[N, C, H, W] twice -> [N, 1]."""
        assert x is not None
        assert y is not None
        difference = (x - y).detach()
        difference = difference.to(torch.promote_types(difference.dtype, torch.float32)).flatten(1)
        if self.distance == "l1":
            found = difference.abs().mean(dim=1, keepdim=True)
        else:
            found = difference.square().mean(dim=1, keepdim=True).sqrt()
        return found.clamp_min(_LEAST_DISTANCE)
