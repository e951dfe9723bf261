"""The mapping network z, c -> w (Karras et al. 2019, arXiv 1812.04948, section 2)."""

import itertools

import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.equalized import EqualizedLinear


def normalize_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the last axis: pixel norm of a vector."""
    return x * (x.square().mean(dim=-1, keepdim=True) + eps).rsqrt()


class Mapping(nn.Module):
    """Fully connected layers from the normalised latent, and the normalised label embedding beside it, to w.

    Args:
        z_dim: width of z; 0 maps a label alone (the discriminator's projection head).
        num_classes: width of c; 0 for none.
        w_dim: width of w, of the hidden layers and of the label embedding.
        num_layers: fully connected layers.
        lr_multiplier: of the layers, not of the label embedding.
        activation: see `layers.activation`.

    Shape: z [N, z_dim], c [N, num_classes] -> w [N, w_dim].
    The buffer `w_avg` [w_dim] holds the running mean of w for truncation; training moves it.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        num_classes: int,
        w_dim: int,
        num_layers: int = 8,
        lr_multiplier: float = 0.01,
        activation: str = "lrelu",
    ) -> None:
        super().__init__()
        if z_dim + num_classes < 1 or w_dim < 1 or num_layers < 1:
            raise UserError(
                f"z_dim={z_dim} w_dim={w_dim} mapping_layers={num_layers}",
                rule="a mapping network has at least one input, one output and one layer",
                fix="Use 1 or more for each; StyleGAN2's own are 512, 512 and 8",
            )
        self.z_dim, self.num_classes, self.w_dim = z_dim, num_classes, w_dim
        self.embed = EqualizedLinear(num_classes, w_dim) if num_classes else None
        widths = [z_dim + (w_dim if num_classes else 0)] + [w_dim] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(i, o, activation, lr_multiplier=lr_multiplier) for i, o in itertools.pairwise(widths)
        )
        if z_dim:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        parts = []
        if z is not None:
            parts.append(normalize_second_moment(z))
        if self.embed is not None:
            if c is None:
                raise ValueError(f"this network has {self.num_classes} classes and needs c [N, {self.num_classes}]")
            parts.append(normalize_second_moment(self.embed(c)))
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = layer(x)
        return x
