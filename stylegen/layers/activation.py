"""Bias, activation, gain and clamp: y = clamp(gain * f(x + b)).

The gains keep the second moment close to one for unit normal inputs (He et al. 2015). Golden files of kind `ops` pin
every activation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.errors import unknown_choice


@dataclass(frozen=True)
class Activation:
    """A function f, its default gain, and whether f(a x) = a f(x) for a > 0 (a gain may then precede f)."""

    function: Callable[[Tensor], Tensor]
    gain: float = 1.0
    homogeneous: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, 1.0, homogeneous=True),
    "relu": Activation(F.relu, math.sqrt(2), homogeneous=True),
    "lrelu": Activation(partial(F.leaky_relu, negative_slope=0.2), math.sqrt(2), homogeneous=True),
    "tanh": Activation(torch.tanh),
    "sigmoid": Activation(torch.sigmoid),
    "elu": Activation(F.elu),
    "selu": Activation(F.selu),
    "softplus": Activation(F.softplus),
    "swish": Activation(F.silu, math.sqrt(2)),
}


def get_activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise unknown_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    activation: str = "linear",
    gain: float | None = None,
    clamp: float | None = None,
) -> Tensor:
    """clamp(gain * f(x + bias), -clamp, clamp).

    Args:
        x: [N, C, ...]; bias: [C] or None.
        activation: a key of `ACTIVATIONS`.
        gain: None for the activation's default.
        clamp: largest magnitude of the output; None for no limit.
    """
    entry = get_activation(activation)
    gain = entry.gain if gain is None else gain
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))
    y = entry.function(x)
    y = y if gain == 1 else y * gain
    return y if clamp is None else y.clamp(-clamp, clamp)
