"""Conditional normalization: y = normalize(x), then y * (1 + scale) + shift.

Two independent choices make a conditioning: a normalization (`normalizations`, `batch_norm`) and a source of scale and
shift (`sources`). `CONDITIONINGS` names the pairs, with the paper of each; docs/conditioning.md compares them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from stylegen.errors import UserError, unknown_choice
from stylegen.layers.conditioning.batch_norm import BatchNorm
from stylegen.layers.conditioning.batch_norm import batch_statistics as batch_statistics
from stylegen.layers.conditioning.batch_norm import standing_statistics as standing_statistics
from stylegen.layers.conditioning.normalizations import InstanceNorm, LayerNorm, PixelNorm
from stylegen.layers.conditioning.sources import Affine as Affine
from stylegen.layers.conditioning.sources import (
    ClassTable,
    Conditioning,
    LearnedAffine,
    NoAffine,
    SelfModulation,
    SqueezeExcitation,
    VectorAffine,
    VectorScale,
    VectorShift,
    VectorSqueezeExcitation,
)
from stylegen.layers.conditioning.sources import modulate as modulate


@dataclass(frozen=True)
class Pair:
    """A normalization (constructed from the number of channels) and the class of the affine's source."""

    normalization: Callable[[int], nn.Module]
    source: type[Conditioning]

    def __call__(self, channels: int, condition_dim: int = 0) -> Conditioning:
        """The layer for [N, channels, H, W] and a condition of width `condition_dim`."""
        return self.source(self.normalization(channels), channels, condition_dim)

    @property
    def kind(self) -> str:
        """The condition's kind, "vector", "index" or "none"; see `Conditioning`."""
        return self.source.kind

    @property
    def needs_batch(self) -> bool:
        """Whether the layer normalizes by batch statistics in training, so that a batch must not be split."""
        return self.normalization is BatchNorm


CONDITIONINGS: dict[str, Pair] = {
    # conditioned on a vector: w
    "adain": Pair(partial(InstanceNorm, eps=1e-8), VectorAffine),  # Karras et al. 2019, arXiv 1812.04948, Eq. 1
    "instance_film": Pair(InstanceNorm, VectorAffine),  # Huang and Belongie 2017, arXiv 1703.06868
    "film": Pair(nn.Identity, VectorAffine),  # Perez et al. 2018, arXiv 1709.07871, Eq. 2
    "layer_film": Pair(LayerNorm, VectorAffine),
    "batch_film": Pair(BatchNorm, VectorAffine),  # Brock et al. 2019, arXiv 1809.11096, appendix B
    "scale_only": Pair(InstanceNorm, VectorScale),
    "shift_only": Pair(InstanceNorm, VectorShift),
    "self_modulation": Pair(BatchNorm, SelfModulation),  # Chen et al. 2019, arXiv 1810.01365
    "se": Pair(nn.Identity, VectorSqueezeExcitation),
    "concat": Pair(nn.Identity, VectorShift),  # Mirza and Osindero 2014, arXiv 1411.1784; see `VectorShift`
    # conditioned on an index: the class
    "cin": Pair(InstanceNorm, ClassTable),  # Dumoulin et al. 2017, arXiv 1610.07629, Eq. 5
    "class_batch": Pair(BatchNorm, ClassTable),  # de Vries et al. 2017, arXiv 1707.00683
    # unconditional
    "none": Pair(PixelNorm, NoAffine),  # Karras et al. 2018, arXiv 1710.10196, section 4.2
    "batch_norm": Pair(BatchNorm, LearnedAffine),  # Ioffe and Szegedy 2015, arXiv 1502.03167
    "layer_norm": Pair(LayerNorm, LearnedAffine),  # Ba et al. 2016, arXiv 1607.06450
    "instance_norm": Pair(InstanceNorm, LearnedAffine),  # Ulyanov et al. 2016, arXiv 1607.08022
    "plain_se": Pair(nn.Identity, SqueezeExcitation),  # Hu et al. 2018, arXiv 1709.01507
}


def condition_kind(conditioning: str, const_input: bool | None, num_classes: int) -> str:
    """The kind of condition that a generator's layers receive: "vector" (w), "index" (the label) or "none".

    Args:
        conditioning: key of `CONDITIONINGS`.
        const_input: whether the network starts from a learned constant; None if undecided.
        num_classes: number of classes of the dataset.

    Raises:
        UserError: an unknown name, a class table without labels, or a constant input that leaves the latent unused.
    """
    if conditioning not in CONDITIONINGS:
        raise unknown_choice("generator.conditioning", conditioning, CONDITIONINGS)
    kind = CONDITIONINGS[conditioning].kind
    if kind == "index" and num_classes == 0:
        raise UserError(
            f"generator.conditioning={conditioning}",
            rule="its layers are conditioned on class labels, and the dataset has none",
            fix="Use data.use_labels=true with a labeled dataset, or generator.conditioning=adain",
        )
    if const_input and kind != "vector":
        raise UserError(
            f"generator.const_input=true generator.conditioning={conditioning}",
            rule="its layers do not receive w, so the latent enters at the input only, and a constant input drops it",
            fix="Use generator.const_input=false, or omit it",
        )
    return kind
