"""Freeze-D: the discriminator's first layers keep their weights (Mo, Cho and Shin 2020, arXiv 2002.10964).

When a trained GAN learns a new, small dataset, the layers near the picture, which see edges and textures, are as
good as they were, and keeping them makes it harder for the discriminator to overfit.

Layers are counted from the picture as StyleGAN2-ADA counts: each convolution of a block is one, in the order
from-RGB (where the block has it), the two 3x3 convolutions, the shortcut (where it has one); then those of the next
resolution. So a `resnet` at 1024 px has four layers in its first block and three in each of the others; StyleGAN3's
guide recommends 10 or 13. What comes at 4 px (the minibatch statistics and whatever follows them) always learns, and
so does the mapping of the labels.
"""

from collections.abc import Collection

from torch import nn

from stylegen.errors import UserError


def freezable_layers(discriminator: nn.Module) -> list[list[str]]:
    """Names of the parameters of each layer that may be frozen, from the picture on.

    A layer is a child with parameters of one of `discriminator.blocks`, which stand in the order in which the
    picture goes through them. A block's own parameters, such as a bias, belong to its last layer.
    """
    blocks = getattr(discriminator, "blocks", nn.ModuleDict())
    layers = []
    for resolution, block in blocks.named_children():
        place = f"blocks.{resolution}"
        for child, layer in block.named_children():
            names = [f"{place}.{child}.{name}" for name, _ in layer.named_parameters()]
            if names:
                layers.append(names)
        layers[-1] += [f"{place}.{name}" for name, _ in block.named_parameters(recurse=False)]
    return layers


def frozen_parameters(discriminator: nn.Module, count: int) -> frozenset[str]:
    """Names of the parameters of the first `count` layers.

    Raises:
        UserError: a negative number, or more layers than there are.
    """
    layers = freezable_layers(discriminator)
    if not 0 <= count <= len(layers):
        raise UserError(
            f"freeze_d={count}",
            rule=f"this discriminator has {len(layers)} layers that can be frozen",
            fix=f"Use a number from 0 to {len(layers)}",
        )
    return frozenset(name for layer in layers[:count] for name in layer)


def learning_parameters(network: nn.Module, frozen: Collection[str] = ()) -> list[nn.Parameter]:
    """The parameters that are not frozen, in the network's order."""
    return [parameter for name, parameter in network.named_parameters() if name not in frozen]
