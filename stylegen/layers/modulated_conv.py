"""Modulated and demodulated convolution (Karras et al. 2020b, arXiv 1912.04958, section 2.2).

The paper scales the weights per sample: w'_ijk = s_i w_ijk (Eq. 1), then divides each output map by its expected
standard deviation, sigma_j = sqrt(sum_ik w'_ijk^2 + eps) (Eq. 3). A convolution is linear in its input channels and
in its output channels, so scaling the activations before (s_i) and after (1 / sigma_j) gives the same result with one
ordinary convolution for the whole batch and no weights per sample. The tests compare it with the grouped convolution
over per-sample weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.layers.resample import conv2d_resample


def demodulation(weight: Tensor, styles: Tensor, eps: float = 1e-8) -> Tensor:
    """1 / sigma_j of Eq. 3 for each sample: [O, I, K, K], [N, I] -> [N, O]."""
    # Sums of squares need more bits than half precision has.
    dtype = torch.promote_types(styles.dtype, torch.float32)
    energy = weight.to(dtype).square().sum(dim=[2, 3])  # [O, I]
    return torch.addmm(energy.new_full((1,), eps), styles.to(dtype).square(), energy.t()).rsqrt()


def _normalized(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and styles scaled so that products stay below float16's 65504; demodulation cancels the factors."""
    fan_in = weight[0].numel()
    weight = weight / (weight.abs().amax(dim=[1, 2, 3], keepdim=True) * math.sqrt(fan_in))
    return weight, styles / styles.abs().amax(dim=1, keepdim=True)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    kernel: Tensor | None = None,
    demodulate: bool = True,
    up: int = 1,
    gain: float | Tensor = 1.0,
    noise: Tensor | None = None,
    padding: int | None = None,
) -> Tensor:
    """gain * (conv(x * s) / sigma) + noise.

    Args:
        x: [N, I, H, W]; weight: [O, I, K, K], K odd; styles: [N, I].
        kernel: FIR filter [F, F] for up-sampling, or None.
        demodulate: False omits 1 / sigma (RGB layers).
        up: 1 or 2. Up-sampling layers convolve, others correlate, as published weights expect.
        gain: gain of the output; a number or a tensor [].
        noise: noise or bias, added after demodulation, broadcast to the output; not scaled by `gain`.
        padding: zeros around x, without up-sampling; None for K // 2, which keeps the size.

    Returns:
        [N, O, H * up, W * up], or 2 * padding + 1 - K larger.
    """
    if demodulate and x.dtype == torch.float16:
        weight, styles = _normalized(weight, styles)
    x = x * styles.to(x.dtype)[:, :, None, None]
    if padding is None:
        y = conv2d_resample(x, weight.to(x.dtype), None, kernel, up=up)
    else:
        # Padded before: with more than K // 2, a CPU's gradient of the weights takes up to four times as long.
        y = F.conv2d(F.pad(x, [padding] * 4) if padding else x, weight.to(x.dtype))
    scale = None
    if demodulate:
        scale = (demodulation(weight, styles) * gain).to(y.dtype)[:, :, None, None]
    elif isinstance(gain, Tensor) or gain != 1:
        scale = y.new_ones(1, 1, 1, 1) * gain
    if noise is None:
        return y if scale is None else y * scale
    return y + noise if scale is None else torch.addcmul(noise.to(y.dtype), y, scale)
