"""Mapping networks z, c -> w of StyleGAN and StyleGAN2 (Karras et al. 2019, arXiv 1812.04948, section 2)."""

import itertools

import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.equalized import EqualizedLinear


def normalize_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the last axis: [..., D] -> [..., D]."""
    return x * (x.square().mean(dim=-1, keepdim=True) + eps).rsqrt()


class StyleMapping(nn.Module):
    """``mapping(z [N, z_dim], c [N, num_classes])`` -> w [N, w_dim].

    The buffer `w_avg` [w_dim] is the running mean of w, for truncation; training updates it.
    """

    z_dim: int
    num_classes: int
    w_dim: int
    w_avg: Tensor

    def _check_labels(self, c: Tensor | None) -> Tensor:
        if c is None:
            raise ValueError(f"this network has {self.num_classes} classes and needs c [N, {self.num_classes}]")
        return c


class Mapping(StyleMapping):
    """StyleGAN2: z and the label embedding, each normalized, are concatenated and mapped by fully connected layers.

    Args:
        z_dim: width of z; 0 for labels only (the discriminator's projection).
        num_classes: width of c; 0 for none.
        w_dim: width of w, the hidden layers and the label embedding.
        num_layers: fully connected layers; 0, for labels only, returns the normalized embedding.
        lr_multiplier: learning-rate multiplier of the layers, not the label embedding.
        activation: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus or swish.

    Shape: z [N, z_dim], c [N, num_classes] -> w [N, w_dim].
    """

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
        if z_dim + num_classes < 1 or w_dim < 1 or num_layers < (1 if z_dim else 0):
            raise UserError(
                f"z_dim={z_dim} w_dim={w_dim} mapping_layers={num_layers}",
                rule="a mapping network must have at least one input, one output and one layer",
                fix="Use 1 or more for each; StyleGAN2 uses 512, 512 and 8",
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
            parts.append(normalize_second_moment(self.embed(self._check_labels(c))))
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = layer(x)
        return x


class JointMapping(StyleMapping):
    """StyleGAN: z and the label embedding are concatenated, normalized as one vector, and mapped by fully connected
    layers.

    The leaky ReLU's gain sqrt(2) multiplies the weights; in `Mapping` it multiplies the activation's output.

    Args:
        z_dim: width of z and of the label embedding.
        num_classes: width of c; 0 for none.
        w_dim: width of w.
        num_layers: fully connected layers; 0 for w = normalized z (table 1, configuration B).
        hidden_dim: width of the hidden layers; None for w_dim.
        lr_multiplier: learning-rate multiplier of the layers and their biases, not the label embedding.
        append_label: return [w, c], for synthesis layers that are conditioned on the label.

    Shape: z [N, z_dim], c [N, num_classes] -> w [N, w_dim], or [N, w_dim + num_classes] with the label.
    """

    def __init__(
        self,
        z_dim: int,
        num_classes: int,
        w_dim: int,
        num_layers: int = 8,
        hidden_dim: int | None = None,
        lr_multiplier: float = 0.01,
        append_label: bool = False,
    ) -> None:
        super().__init__()
        hidden_dim = w_dim if hidden_dim is None else hidden_dim
        if min(z_dim, w_dim, hidden_dim) < 1 or num_layers < 0:
            raise UserError(
                f"z_dim={z_dim} w_dim={w_dim} mapping_dim={hidden_dim} mapping_layers={num_layers}",
                rule="widths must be at least 1, and the number of layers at least 0",
                fix="Use StyleGAN's 512, 512, 512 and 8",
            )
        in_dim = z_dim * 2 if num_classes else z_dim
        if num_layers == 0 and in_dim != w_dim:
            raise UserError(
                f"mapping_layers=0 w_dim={w_dim}",
                rule=f"without layers w is the normalized input, z and label embedding, of width {in_dim}",
                fix=f"Use w_dim={in_dim}, or mapping_layers=1 or more",
            )
        self.z_dim, self.num_classes, self.w_dim = z_dim, num_classes, w_dim + num_classes * append_label
        self.append_label = append_label
        self.embedding = nn.Parameter(torch.randn(num_classes, z_dim)) if num_classes else None
        widths = [in_dim] + [hidden_dim] * (num_layers - 1) + [w_dim] * min(num_layers, 1)
        self.layers = nn.ModuleList(
            EqualizedLinear(i, o, "lrelu", lr_multiplier=lr_multiplier, gain_in_weights=True)
            for i, o in itertools.pairwise(widths)
        )
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self._check_labels(c).to(z.dtype) @ self.embedding.to(z.dtype)], dim=1)
        x = normalize_second_moment(z)
        for layer in self.layers:
            x = layer(x)
        return torch.cat([x, self._check_labels(c).to(x.dtype)], dim=1) if self.append_label else x
