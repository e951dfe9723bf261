"""Image-space corruptions (Karras et al. 2020a, arXiv 2006.06676, appendix B): additive noise and cutout (DeVries and
Taylor 2017, arXiv 1708.04552)."""

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentInputs


def add_noise(images: Tensor, inputs: AugmentInputs, p: float, std: float) -> Tensor:
    """With probability p add sigma n, n ~ N(0, 1) per pixel and channel, sigma = |N(0, std^2)| per image.

    Shape: [N, C, H, W] -> the same.
    """
    assert inputs.image_noise is not None
    sigma = torch.where(inputs.gate("noise", p), (std * inputs.normal("noise")).abs(), 0.0).to(images.dtype)
    return images + sigma[:, None, None, None] * inputs.image_noise.to(images.dtype)


def cut_out(images: Tensor, inputs: AugmentInputs, p: float, size: float) -> Tensor:
    """With probability p set a box of `size` times the sides to 0, its center uniform over the image.

    Shape: [N, C, H, W] -> the same.
    """
    half = torch.where(inputs.gate("cutout", p), size / 2, 0.0)
    far_x = _is_far(inputs.uniform("cutout_x"), half, images.shape[3])
    far_y = _is_far(inputs.uniform("cutout_y"), half, images.shape[2])
    kept = far_x[:, None, None, :] | far_y[:, None, :, None]
    return images * kept.to(images.dtype)


def _is_far(center: Tensor, half: Tensor, side: int) -> Tensor:
    """bool [N, side]: pixel centers at a distance of at least `half` from `center`; fractions of the side."""
    middles = (torch.arange(side, device=center.device) + 0.5) / side
    return (middles - center[:, None]).abs() >= half[:, None]
