"""Bias, activation, gain and clamp in one step: y = clamp(gain * f(x + b)).

The gains keep the second moment of a unit normal input near one (He et al. 2015). Golden files of kind `ops` pin
every activation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.errors import unknown_choice

LEAKY_SLOPE = 0.2


class _LeakyReLU(torch.autograd.Function):
    """leaky_relu whose second derivative is absent instead of a tensor of zeros.

    PyTorch returns those zeros and pushes them back through the whole network in R1 and path length.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = F.leaky_relu(x, LEAKY_SLOPE)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        sign_carrier = ctx.saved_tensors[0].detach()  # only its sign enters, and the slope is piecewise constant
        return torch.ops.aten.leaky_relu_backward(grad_outputs[0], sign_carrier, LEAKY_SLOPE, True)


def leaky_relu(x: Tensor) -> Tensor:
    """max(x, 0.2 x)."""
    if torch.compiler.is_compiling():  # `where` has no second derivative either, and traces
        return torch.where(x >= 0, x, x * LEAKY_SLOPE)
    return _LeakyReLU.apply(x)


@dataclass(frozen=True)
class Activation:
    """A function, its default gain, and whether f(a x) = a f(x) for a > 0, so that a gain may go in first."""

    function: Callable[[Tensor], Tensor]
    gain: float = 1.0
    homogeneous: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, 1.0, homogeneous=True),
    "relu": Activation(F.relu, math.sqrt(2), homogeneous=True),
    "lrelu": Activation(leaky_relu, math.sqrt(2), homogeneous=True),
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
        gain: None takes the activation's own.
        clamp: largest magnitude of the output; None for no limit.
    """
    entry = get_activation(activation)
    gain = entry.gain if gain is None else gain
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))
    y = entry.function(x)
    y = y if gain == 1 else y * gain
    return y if clamp is None else y.clamp(-clamp, clamp)
