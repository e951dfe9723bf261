"""Freeze-D: the discriminator's first layers keep their weights (Mo, Cho and Shin 2020, arXiv 2002.10964).

When a trained GAN is fine-tuned on a small dataset, the layers near the image detect edges and textures and need
not change; freezing them reduces overfitting.

Layers are counted from the image as in StyleGAN2-ADA: each convolution of a block is one layer, in the order from-RGB
(if any), two 3x3 convolutions, shortcut (if any); then the block of the next lower resolution. A `resnet` at 1024 px
has four layers in its first block and three in each of the others; StyleGAN3's guide recommends 10 or 13. The layers at
4 px (from minibatch statistics on) and the mapping of the labels are always trained.
"""

from collections.abc import Collection

from torch import nn

from stylegen.errors import UserError


def freezable_layers(discriminator: nn.Module) -> list[list[str]]:
    """Names of the parameters of each freezable layer, counted from the image.

    A layer is a child with parameters of one of `discriminator.blocks`, in the order of the forward pass. Parameters
    of the block itself, such as a bias, belong to its last layer.
    """
    blocks = getattr(discriminator, "blocks", nn.ModuleDict())
    layers = []
    for resolution, block in blocks.named_children():
        prefix = f"blocks.{resolution}"
        for child, layer in block.named_children():
            names = [f"{prefix}.{child}.{name}" for name, _ in layer.named_parameters()]
            if names:
                layers.append(names)
        layers[-1] += [f"{prefix}.{name}" for name, _ in block.named_parameters(recurse=False)]
    return layers


def frozen_parameters(discriminator: nn.Module, count: int) -> frozenset[str]:
    """Names of the parameters of the first `count` layers.

    Raises:
        UserError: `count` is negative, or there are fewer layers.
    """
    layers = freezable_layers(discriminator)
    if not 0 <= count <= len(layers):
        raise UserError(
            f"freeze_d={count}",
            rule=f"this discriminator has {len(layers)} freezable layers",
            fix=f"Use a number from 0 to {len(layers)}",
        )
    return frozenset(name for layer in layers[:count] for name in layer)


def learning_parameters(network: nn.Module, frozen: Collection[str] = ()) -> list[nn.Parameter]:
    """The parameters that are not frozen, in the order of the network; also of a network with parametrized weights."""
    return [parameter for name, parameter in network.named_parameters() if _plain(name) not in frozen]


def _plain(name: str) -> str:
    """A parameter's name without `torch.nn.utils.parametrize`."""
    return name.replace("parametrizations.", "").removesuffix(".original")
