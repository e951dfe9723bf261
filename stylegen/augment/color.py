"""Color (Karras et al. 2020a, arXiv 2006.06676, appendix B): brightness, contrast, luma flip, hue, saturation.

All five act along or around the gray axis v = (1, 1, 1) / sqrt(3). With P = v v^T the projection on it, Q = I - P, and
K the cross product with v, the linear parts are

    contrast c P + c Q;   luma flip (1 - 2 i) P + Q;   hue P + cos(t) Q + sin(t) K;   saturation P + s Q,

which commute (K Q = K, K K = -Q), and brightness adds a multiple of v before them. The whole sequence is

    x -> a P (x + b) + c s (cos(t) Q + sin(t) K) x,   a = c (1 - 2 i),

and for gray images x -> a (x + b).
"""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentInputs

if TYPE_CHECKING:
    from stylegen.augment.pipeline import AdaPipeline

OPERATIONS = ("brightness", "contrast", "lumaflip", "hue", "saturation")


def adjust_color(
    images: Tensor, operations: Collection[str], inputs: AugmentInputs, p: float, strengths: "AdaPipeline"
) -> Tensor:
    """Apply this family's operations among `operations`, each with probability p.

    Args:
        images: [N, C, H, W] in [-1, 1]: gray (C = 1), gray and alpha (2), RGB (3), RGBA (4). Alpha is not changed.
    """

    def gated(name: str, value: Tensor, neutral: float) -> Tensor:
        on = inputs.gate(name, p) if name in operations else torch.zeros_like(value, dtype=torch.bool)
        return torch.where(on, value, neutral)[:, None, None]

    b = gated("brightness", strengths.brightness_std * inputs.normal("brightness"), 0.0)
    c = gated("contrast", torch.exp2(strengths.contrast_std * inputs.normal("contrast")), 1.0)
    a = c * gated("lumaflip", 1 - 2 * torch.floor(2 * inputs.uniform("lumaflip")), 1.0)
    t = gated("hue", (2 * inputs.uniform("hue") - 1) * (math.pi * strengths.hue_max), 0.0)
    s = gated("saturation", torch.exp2(strengths.saturation_std * inputs.normal("saturation")), 1.0)
    if images.shape[1] < 3:
        color, alpha = images[:, :1], images[:, 1:]
        color = color * a[..., None].to(images.dtype) + (a * b)[..., None].to(images.dtype)
        return torch.cat([color, alpha], dim=1)
    color, alpha = images[:, :3], images[:, 3:]
    project, reject, cross = _axes(images.device)
    matrix = a * project + c * s * (torch.cos(t) * reject + torch.sin(t) * cross)  # [N, 3, 3]
    color = torch.baddbmm((a * b).to(images.dtype), matrix.to(images.dtype), color.flatten(2)).reshape(color.shape)
    return torch.cat([color, alpha], dim=1)


def _axes(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """P, Q, K, each [3, 3]."""
    project = torch.full((3, 3), 1 / 3, device=device)
    identity = torch.eye(3, device=device)
    forward = identity.roll(1, dims=0)  # red -> green -> blue -> red
    return project, identity - project, (forward - forward.T) / math.sqrt(3)
