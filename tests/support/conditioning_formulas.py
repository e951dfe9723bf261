"""The papers' formulas, sample by sample and map by map, in plain tensor arithmetic. Imports nothing from stylegen.

Each function takes x [N, C, H, W], the condition, and the layer's parameters by name.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Parameters = dict[str, Tensor]


def standardize(values: Tensor, eps: float) -> Tensor:
    """(values - mean) / standard deviation, over all of `values`."""
    mean = values.sum() / values.numel()
    var = ((values - mean) ** 2).sum() / values.numel()
    return (values - mean) / (var + eps) ** 0.5


def instance(x: Tensor, eps: float) -> Tensor:
    return torch.stack([torch.stack([standardize(plane, eps) for plane in sample]) for sample in x])


def layer(x: Tensor) -> Tensor:
    return torch.stack([standardize(sample, 1e-5) for sample in x])


def batch(x: Tensor) -> Tensor:
    return torch.stack([standardize(x[:, c], 1e-5) for c in range(x.shape[1])], dim=1)


def pixel(x: Tensor) -> Tensor:
    return x / ((x**2).sum(dim=1, keepdim=True) / x.shape[1] + 1e-8) ** 0.5


def linear(v: Tensor, p: Parameters, name: str) -> Tensor:
    """Equalized linear layer: unit weights divided by the root of the fan-in."""
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return torch.stack([(weight * row).sum(dim=1) / weight.shape[1] ** 0.5 + bias for row in v])


def gamma_beta(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Scale and shift, per sample and channel [N, C] or per channel [C]."""
    rows = []
    for n in range(len(x)):
        g, b = (v if v.ndim == 1 else v[n] for v in (gamma, beta))
        rows.append(torch.stack([x[n, c] * g[c] + b[c] for c in range(x.shape[1])]))
    return torch.stack(rows)


def own(x: Tensor, p: Parameters) -> Tensor:
    return gamma_beta(x, 1 + p["scale"], p["shift"])


def film(x: Tensor, v: Tensor, p: Parameters) -> Tensor:
    both = linear(v, p, "affine")
    return gamma_beta(x, 1 + both[:, : x.shape[1]], both[:, x.shape[1] :])


def table(x: Tensor, weights: Tensor, p: Parameters) -> Tensor:
    """Convex combination of the rows, in a loop."""
    rows = p["table.weight"]
    mixed = torch.stack([sum(w[s] * rows[s] for s in range(len(rows))) for w in weights])
    return gamma_beta(x, 1 + mixed[:, : x.shape[1]], mixed[:, x.shape[1] :])


def two_layers(v: Tensor, p: Parameters, first: str, second: str) -> Tensor:
    return linear(linear(v, p, first).clamp(min=0) * 2**0.5, p, second)


def self_modulation(x: Tensor, v: Tensor, p: Parameters) -> Tensor:
    gamma = 1 + two_layers(v, p, "scale.0", "scale.1")
    return gamma_beta(batch(x), gamma, two_layers(v, p, "shift.0", "shift.1"))


def squeeze_excitation(x: Tensor, v: Tensor, p: Parameters) -> Tensor:
    means = torch.stack([torch.stack([plane.sum() / plane.numel() for plane in sample]) for sample in x])
    u = two_layers(torch.cat([means, v], dim=1), p, "squeeze", "excite")
    return gamma_beta(x, 2 / (1 + (-u).exp()), torch.zeros_like(u))


def concatenation(x: Tensor, v: Tensor, p: Parameters) -> Tensor:
    """Explicit concatenation and 1x1 convolution; the convolution's part for x is the identity."""
    maps = v[:, :, None, None].expand(-1, -1, *x.shape[2:])
    both = torch.cat([x, maps], dim=1)
    weight = torch.cat([torch.eye(x.shape[1], dtype=x.dtype), p["affine.weight"] / v.shape[1] ** 0.5], dim=1)
    return torch.nn.functional.conv2d(both, weight[:, :, None, None], p["affine.bias"])


FORMULAS: dict[str, Callable[[Tensor, Tensor, Parameters], Tensor]] = {
    "adain": lambda x, v, p: film(instance(x, 1e-8), v, p),
    "instance_film": lambda x, v, p: film(instance(x, 1e-5), v, p),
    "film": film,
    "layer_film": lambda x, v, p: film(layer(x), v, p),
    "batch_film": lambda x, v, p: film(batch(x), v, p),
    "scale_only": lambda x, v, p: gamma_beta(
        instance(x, 1e-5), 1 + linear(v, p, "affine"), torch.zeros(x.shape[1], dtype=x.dtype)
    ),
    "shift_only": lambda x, v, p: gamma_beta(
        instance(x, 1e-5), torch.ones(x.shape[1], dtype=x.dtype), linear(v, p, "affine")
    ),
    "self_modulation": self_modulation,
    "se": squeeze_excitation,
    "concat": concatenation,
    "cin": lambda x, v, p: table(instance(x, 1e-5), v, p),
    "class_batch": lambda x, v, p: table(batch(x), v, p),
    "none": lambda x, v, p: pixel(x),
    "batch_norm": lambda x, v, p: own(batch(x), p),
    "layer_norm": lambda x, v, p: own(layer(x), p),
    "instance_norm": lambda x, v, p: own(instance(x, 1e-5), p),
    "plain_se": lambda x, v, p: squeeze_excitation(x, v[:, :0], p),
}
