"""Cutout (DeVries and Taylor 2017, arXiv 1708.04552; Karras et al. 2020a, arXiv 2006.06676, appendix B)."""

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentDraws

OPERATIONS = ("cutout",)


def cut_out(images: Tensor, draws: AugmentDraws, p: float, size: float) -> Tensor:
    """With probability p set to 0 a box of `size` times the sides, its centre anywhere in the picture.

    Shape: [N, C, H, W] -> the same.
    """
    half = torch.where(draws.gate("cutout", p), size / 2, 0.0)
    far_x = _is_far(draws.uniform("cutout_x"), half, images.shape[3])
    far_y = _is_far(draws.uniform("cutout_y"), half, images.shape[2])
    kept = far_x[:, None, None, :] | far_y[:, None, :, None]
    return images * kept.to(images.dtype)


def _is_far(centre: Tensor, half: Tensor, side: int) -> Tensor:
    """bool [N, side]: pixels whose middle lies at least `half` from `centre`, all in shares of the side."""
    middles = (torch.arange(side, device=centre.device) + 0.5) / side
    return (middles - centre[:, None]).abs() >= half[:, None]
