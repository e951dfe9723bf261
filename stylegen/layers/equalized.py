"""Linear and convolution layers with equalized learning rate (Karras et al. 2018, section 4.1).

Weights are initialized from N(0, 1) and scaled at run time by lr_multiplier / sqrt(fan_in). Adam's step does not depend
on the scale of a weight, so every layer then learns at the same relative rate.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylegen.layers.activation import bias_act, get_activation
from stylegen.layers.resample import conv2d_resample, fir_filter


class EqualizedLinear(nn.Module):
    """y = f(x (W g)^T + b m) with g = m / sqrt(in_features), m the learning-rate multiplier.

    Args:
        in_features, out_features: widths.
        activation: see `layers.activation`.
        bias_init: initial bias, after multiplication by m.
        lr_multiplier: factor m on the layer's effective learning rate; weights are stored as N(0, 1 / m^2), the
            bias as bias_init / m.
        gain_in_weights: the activation's gain multiplies the weights and not the bias (StyleGAN1), instead of the
            output (StyleGAN2).

    Shape: [..., in_features] -> [..., out_features].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: str = "linear",
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        gain_in_weights: bool = False,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.gain = 1.0 if gain_in_weights else get_activation(activation).gain
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        if gain_in_weights:
            self.weight_gain *= get_activation(activation).gain
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.to(x.dtype) * self.bias_gain
        y = torch.addmm(bias, x, (self.weight.to(x.dtype) * self.weight_gain).t())
        return bias_act(y, activation=self.activation, gain=self.gain)


class EqualizedConv2d(nn.Module):
    """Convolution, optionally with FIR resampling, then bias and activation.

    Args:
        in_channels, out_channels, kernel_size: see `torch.nn.Conv2d`; padding is kernel_size // 2.
        bias: False for none.
        activation: see `layers.activation`.
        up, down: resampling factor, 1 or 2.
        conv_clamp: limit on the output's magnitude, for half precision; None for no limit.
        resample_taps: the FIR filter.
        gain_in_weights: see `EqualizedLinear`.

    Shape: [N, in_channels, H, W] -> [N, out_channels, H * up / down, W * up / down].
    """

    kernel: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        activation: str = "linear",
        up: int = 1,
        down: int = 1,
        conv_clamp: float | None = None,
        resample_taps: Sequence[float] = (1, 3, 3, 1),
        gain_in_weights: bool = False,
    ) -> None:
        super().__init__()
        self.activation, self.up, self.down, self.conv_clamp = activation, up, down, conv_clamp
        self.gain = 1.0 if gain_in_weights else get_activation(activation).gain
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        if gain_in_weights:
            self.weight_gain *= get_activation(activation).gain
        self.register_buffer("kernel", fir_filter(resample_taps), persistent=False)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """`gain` multiplies the output and the clamp, so that residual sums have unit variance."""
        total = self.gain * gain
        # With a homogeneous activation the gain multiplies the weights, which saves a pass over the activations.
        before, after = (total, 1.0) if get_activation(self.activation).homogeneous else (1.0, total)
        weight = self.weight.to(x.dtype) * (self.weight_gain * before)
        bias = None if self.bias is None else self.bias.to(x.dtype) * before
        y = conv2d_resample(x, weight, bias, self.kernel, self.up, self.down)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(y, activation=self.activation, gain=after, clamp=clamp)
