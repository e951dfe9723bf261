"""Options that StyleGAN's discriminators share: the head, dropout, and self-attention at one resolution.

A head computes outputs from the last hidden layer h [N, F]. Each is one class, listed in `HEADS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError, unknown_choice
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.scaled_conv import nearest_upsample
from stylegen.layers.self_attention import SelfAttention
from stylegen.networks.discriminator import RandomInputs, StyleDiscriminator
from stylegen.randomness import Request


class Head(nn.Module, ABC):
    """Last hidden layer h -> outputs.

    Args:
        widths: resolution -> feature maps of the discriminator; h has `widths[4]` entries.
        channels: channels of the images, which a decoder reconstructs.
        num_classes: K.
        dim: width of the code of an autoencoder or bottleneck.
    """

    needs_labels = False

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__()

    @property
    def random_inputs(self) -> Mapping[str, Request]:
        """See `StyleDiscriminator.random_inputs`."""
        return {}

    @abstractmethod
    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        """h [N, F], images x [N, channels, H, H], c [N, K]."""


class ScalarHead(Head):
    """One logit; labels are not used."""

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        self.out = EqualizedLinear(widths[4], 1)

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        return DiscriminatorOutputs(self.out(h), h)


class ProjectionHead(ScalarHead):
    """out(h) + v_c . h + b_c: projection of labels (Miyato and Koyama 2018, arXiv 1802.05637), with a bias."""

    needs_labels = True

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        self.of_labels = EqualizedLinear(widths[4], num_classes)

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        if c is None:
            raise ValueError("discriminator.head=projection needs labels c [N, K]")
        projection = (self.of_labels(h) * c.to(h.dtype)).sum(dim=1, keepdim=True)
        return DiscriminatorOutputs(self.out(h) + projection, h)


class ClassesHead(ScalarHead):
    """One logit, and label logits [N, K] for an auxiliary classifier."""

    needs_labels = True

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        self.of_labels = EqualizedLinear(widths[4], num_classes)

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        return DiscriminatorOutputs(self.out(h), h, label_logits=self.of_labels(h))


class ClassesPlusFakeHead(Head):
    """K + 1 classes (Salimans et al. 2016, arXiv 1606.03498, section 5): class logits l, and 0 for generated images.

    P(real) = sum exp(l) / (sum exp(l) + 1) is the sigmoid of the logit log sum exp(l).
    """

    needs_labels = True

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        self.of_labels = EqualizedLinear(widths[4], num_classes)

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        found = self.of_labels(h)
        return DiscriminatorOutputs(found.logsumexp(dim=1, keepdim=True), h, label_logits=found)


class AutoencoderHead(Head):
    """Decodes h to an image; the logit is minus the mean of | x - decoded | over pixels and channels (BEGAN, Berthelot
    et al. 2017, arXiv 1703.10717).

    A linear code of width `dim`, a linear layer to 4x4, then for each resolution a nearest-neighbor up-sampling and a
    3x3 convolution.
    """

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        sides = sorted(widths)
        self.code = EqualizedLinear(widths[4], dim)
        self.expand = EqualizedLinear(dim, widths[4] * 16, activation="lrelu")
        self.convs = nn.ModuleList(
            EqualizedConv2d(widths[r // 2], widths[r], 3, activation="lrelu") for r in sides if r > 4
        )
        self.to_image = EqualizedConv2d(widths[sides[-1]], channels, 1)

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        error = (x.to(h.dtype) - self.decode(h)).abs().flatten(1).mean(dim=1, keepdim=True)
        return DiscriminatorOutputs(-error, h)

    def decode(self, h: Tensor) -> Tensor:
        """[N, F] -> image [N, channels, H, H]."""
        y = self.expand(self.code(h)).unflatten(1, (-1, 4, 4))
        for conv in self.convs:
            y = conv(nearest_upsample(y))
        image: Tensor = self.to_image(y)
        return image


class BottleneckHead(Head):
    """Variational bottleneck (VDB, Peng et al. 2019, arXiv 1810.00821, Eq. 8): the logit sees z ~ N(mu(h), sigma(h)^2)
    of width `dim`, and the mean mu(h) outside training.

    divergence = KL(N(mu, sigma^2) || N(0, 1)) = 1/2 sum (mu^2 + sigma^2 - log sigma^2 - 1).
    """

    def __init__(self, widths: Mapping[int, int], channels: int, num_classes: int, dim: int) -> None:
        super().__init__(widths, channels, num_classes, dim)
        self.dim = dim
        self.mean = EqualizedLinear(widths[4], dim)
        self.log_variance = EqualizedLinear(widths[4], dim)
        self.out = EqualizedLinear(dim, 1)

    @property
    def random_inputs(self) -> Mapping[str, Request]:
        return {"bottleneck": Request("normal", (self.dim,))}

    def forward(self, h: Tensor, x: Tensor, c: Tensor | None, random: RandomInputs | None) -> DiscriminatorOutputs:
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean
        if random is not None:
            z = mean + (log_variance / 2).exp() * random["bottleneck"].to(h.dtype)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1, keepdim=True) / 2
        return DiscriminatorOutputs(self.out(z), h, divergence=divergence)


HEADS: dict[str, type[Head]] = {
    "scalar": ScalarHead,
    "projection": ProjectionHead,
    "classes": ClassesHead,
    "classes_plus_fake": ClassesPlusFakeHead,
    "autoencoder": AutoencoderHead,
    "bottleneck": BottleneckHead,
}


@dataclass(frozen=True)
class DiscriminatorOptions:
    """Settings of `OptionedDiscriminator`; see `stylegan2_discriminator.Discriminator`."""

    head: str
    head_dim: int
    dropout: Sequence[float]
    attention_resolution: int | None


class OptionedDiscriminator(StyleDiscriminator):
    """A discriminator of blocks by resolution with the options of this file.

    Attributes:
        head: None for the published one, `head="auto"`.
        attention: applied to the output of the block at twice `attention_resolution`; None without one.
        dropout: output resolution of a block -> rate.
    """

    head: Head | None
    attention: SelfAttention | None
    dropout: Mapping[int, float]

    def add_options(self, widths: Mapping[int, int], channels: int, options: DiscriminatorOptions) -> None:
        """Build the options; after the published layers, whose initial weights then do not depend on them.

        Raises:
            UserError: an unknown head, a head by label without labels, or a value that does not fit the resolution.
        """
        head, dropout, attention = options.head, options.dropout, options.attention_resolution
        sides = sorted(widths)[:-1]  # of the blocks' outputs
        if head != "auto" and head not in HEADS:
            raise unknown_choice("discriminator.head", head, ("auto", *HEADS))
        if head != "auto" and HEADS[head].needs_labels and not self.num_classes:
            raise UserError(
                f"discriminator.head={head} data.use_labels=false",
                rule="this head needs labels",
                fix="Use data.use_labels=true with a dataset that has labels, or discriminator.head=auto",
            )
        if len(dropout) > len(sides):
            raise UserError(
                f"discriminator.dropout={list(dropout)}",
                rule=f"must have at most one rate for each block, and this discriminator has {len(sides)} blocks",
                fix=f"Use {len(sides)} rates or fewer",
            )
        if attention is not None and attention not in sides:
            raise UserError(
                f"discriminator.attention_resolution={attention}",
                rule=f"must be the resolution of a block's output: {', '.join(map(str, sides))}",
                fix=f"Use {sides[-1]}, or null for none",
            )
        self.dropout = dict(zip(reversed(sides[: len(dropout)]), dropout, strict=True))
        self.widths = dict(widths)
        self.attention = None if attention is None else SelfAttention(widths[attention])
        self.attention_resolution = attention
        self.head = None if head == "auto" else HEADS[head](widths, channels, self.num_classes, options.head_dim)

    @property
    def random_inputs(self) -> Mapping[str, Request]:
        found = {f"dropout{side}": Request("uniform", (self.widths[side], side, side)) for side in self.dropout}
        return found | dict({} if self.head is None else self.head.random_inputs)

    def after_block(self, y: Tensor, random: RandomInputs | None) -> Tensor:
        """Attention and dropout on a block's output [N, C, H, H]; dropout in training only."""
        side = y.shape[-1]
        if self.attention is not None and side == self.attention_resolution:
            y = self.attention(y)
        if random is not None and side in self.dropout:
            rate = self.dropout[side]
            y = torch.where(random[f"dropout{side}"] < rate, 0, y / (1 - rate))
        return y
