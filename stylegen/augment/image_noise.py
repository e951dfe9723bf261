"""Additive noise (Karras et al. 2020a, arXiv 2006.06676, appendix B)."""

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentDraws

OPERATIONS = ("noise",)


def add_noise(images: Tensor, draws: AugmentDraws, p: float, std: float) -> Tensor:
    """With probability p add sigma n, n ~ N(0, 1) for every pixel and channel, sigma = |N(0, std^2)| for the picture.

    Shape: [N, C, H, W] -> the same.
    """
    sigma = torch.where(draws.gate("noise", p), (std * draws.normal("noise")).abs(), 0.0).to(images.dtype)
    return images + sigma[:, None, None, None] * draws.picture(images.shape[1:]).to(images.dtype)
