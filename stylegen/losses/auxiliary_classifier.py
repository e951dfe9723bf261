"""Auxiliary classifier (ACGAN: Odena et al. 2017, arXiv 1610.09585, section 3): D also predicts labels."""

from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor

from stylegen.bounds import Choice, Weight, check_arguments
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.hinge import Hinge
from stylegen.losses.least_squares import LeastSquares
from stylegen.losses.loss import Loss
from stylegen.losses.minimax import Minimax
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.losses.wasserstein import Wasserstein

ADVERSARIAL: dict[str, type[Loss]] = {
    "minimax": Minimax,
    "nonsaturating": Nonsaturating,
    "wasserstein": Wasserstein,
    "least_squares": LeastSquares,
    "hinge": Hinge,
}


class AuxiliaryClassifier(Loss):
    """An adversarial loss, and the error L_C of D's label logits:

        D: adversarial + d_weight (E L_C(x) + E L_C(G(z, c)))       G: adversarial + g_weight E L_C(G(z, c))

    L_C is the cross entropy of softmax for "class", and the mean over attributes of the binary cross entropy for
    "attributes". Images without label (all zeros) add nothing to "class".

    Args:
        adversarial: name of the loss for real and generated images; its arguments have their defaults.
        targets: one class for each image, or several attributes from 0 to 1.
        d_weight: weight of the classification loss L_C in the discriminator's loss.
        g_weight: weight of the classification loss L_C in the generator's loss; 0.1 in WGAN-GP's code.
        classify_fake: D also learns from the labels of generated images, as in the paper; WGAN-GP's code does not.

    Raises:
        UserError: an unknown name, or a weight out of bounds.
    """

    needs: ClassVar[tuple[str, ...]] = ("logits", "label_logits", "labels")
    heads: ClassVar[tuple[str, ...]] = ("classes",)

    def __init__(
        self,
        adversarial: Annotated[
            str, Choice(("minimax", "nonsaturating", "wasserstein", "least_squares", "hinge"))
        ] = "nonsaturating",
        targets: Annotated[str, Choice(("class", "attributes"))] = "class",
        d_weight: Weight = 1.0,
        g_weight: Weight = 1.0,
        classify_fake: bool = True,
    ) -> None:
        check_arguments("loss", AuxiliaryClassifier, locals())
        super().__init__()
        self.adversarial, self.targets = ADVERSARIAL[adversarial](), targets
        self.d_weight, self.g_weight, self.classify_fake = d_weight, g_weight, classify_fake

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        return self.adversarial.generator(fake) + self.g_weight * self._error(fake)

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        error = self._error(real) + self._error(fake) if self.classify_fake else self._error(real)
        adversarial: Tensor = self.adversarial.discriminator(real, fake)
        return adversarial + self.d_weight * error

    def _error(self, outputs: DiscriminatorOutputs) -> Tensor:
        """E L_C."""
        logits, labels = outputs.label_logits, outputs.labels
        assert logits is not None
        assert labels is not None
        labels = labels.to(logits.dtype)
        if self.targets == "attributes":
            return F.binary_cross_entropy_with_logits(logits, labels)
        return class_errors(logits, labels).mean()


def class_errors(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits) at the labeled class: [N, K], one-hot [N, K] -> [N]; 0 for a row of zeros."""
    return -(labels.to(logits.dtype) * logits.log_softmax(dim=1)).sum(dim=1)
