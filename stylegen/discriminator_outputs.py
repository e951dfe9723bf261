"""The outputs of a discriminator that losses and regularizers use."""

from typing import NamedTuple

from torch import Tensor


class DiscriminatorOutputs(NamedTuple):
    """Outputs of a discriminator for N images, and the images themselves.

    Attributes:
        logits: [N, 1], before any sigmoid; of an auto-encoding discriminator, minus the reconstruction error.
        features: [N, F], the last hidden layer; None if the network has none.
        label_logits: [N, K], of the classes or attributes; None without a head for them.
        divergence: [N, 1], Kullback-Leibler divergence of an information bottleneck from its prior; None without one.
        labels: [N, K]; images: [N, C, H, W] in [-1, 1], before augmentation. None if the caller has set none.
    """

    logits: Tensor
    features: Tensor | None = None
    label_logits: Tensor | None = None
    divergence: Tensor | None = None
    labels: Tensor | None = None
    images: Tensor | None = None
