"""Semi-supervised learning with K + 1 classes, and feature matching (Salimans et al. 2016, arXiv 1606.03498, sections
3.1 and 5)."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from stylegen.bounds import Weight, check_arguments
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.auxiliary_classifier import class_errors
from stylegen.losses.loss import Loss


class SemiSupervised(Loss):
    """D has K logits l; class K + 1, generated, has the logit 0. So the logit of "real" is f = log sum_k exp(l_k):

        D: E_labeled -log softmax(l)_y + unlabeled_weight (E softplus(-f(x)) + E softplus(f(G(z))))
        G: mean_h | E h(x) - E h(G(z)) |, with h the last hidden layer of D (feature matching)

    An image without label has a row of zeros. The first expectation is over labeled images, 0 without any, the second
    over all real images as in the paper; the authors' code omits the labeled ones. Feature matching follows the
    code; the paper squares the distance.

    Args:
        unlabeled_weight: weight of the part without labels; 0.5 in the authors' code, 1 in the paper.

    Raises:
        UserError: a weight out of bounds.
    """

    needs: ClassVar[tuple[str, ...]] = ("logits", "features", "label_logits", "labels")
    heads: ClassVar[tuple[str, ...]] = ("classes_plus_fake",)
    generator_sees_real: ClassVar[bool] = True

    def __init__(self, unlabeled_weight: Weight = 0.5) -> None:
        check_arguments("loss", SemiSupervised, locals())
        super().__init__()
        self.unlabeled_weight = unlabeled_weight

    @property
    def coupled(self) -> bool:
        return True  # by the mean features and the number of labels

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        assert real is not None
        assert real.features is not None
        assert fake.features is not None
        return (real.features.mean(dim=0) - fake.features.mean(dim=0)).abs().mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        assert real.label_logits is not None
        assert real.labels is not None
        labeled = (real.labels.sum(dim=1) > 0).sum().clamp_min(1)
        supervised = class_errors(real.label_logits, real.labels).sum() / labeled
        adversarial = F.softplus(-real.logits).mean() + F.softplus(fake.logits).mean()
        return supervised + self.unlabeled_weight * adversarial
