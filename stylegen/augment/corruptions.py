"""Image-space corruptions (Karras et al. 2020a, arXiv 2006.06676, appendix B): additive noise and cutout."""

import torch
from torch import Tensor

from stylegen.augment.draws import AugmentDraws


def add_noise(images: Tensor, draws: AugmentDraws, p: float, std: float) -> Tensor:
    """With probability p add sigma n, n ~ N(0, 1) for every pixel and channel, sigma = |N(0, std^2)| for the picture.

    Shape: [N, C, H, W] -> the same.
    """
    sigma = torch.where(draws.gate("noise", p), (std * draws.normal("noise")).abs(), 0.0).to(images.dtype)
    return images + sigma[:, None, None, None] * draws.picture(images.shape[1:]).to(images.dtype)


def cut_out(images: Tensor, draws: AugmentDraws, p: float, size: float) -> Tensor:
    """With probability p set to 0 a box of `size` times the sides, its centre anywhere in the picture.

    Shape: [N, C, H, W] -> the same.
    """
    box = torch.where(draws.gate("cutout", p), size, 0.0)
    outside = torch.zeros((), dtype=torch.bool, device=images.device)
    for name, side, shape in (("cutout_x", images.shape[3], (-1, 1, 1)), ("cutout_y", images.shape[2], (-1, 1))):
        centres = (torch.arange(side, device=images.device) + 0.5) / side
        far = (centres - draws.uniform(name)[:, None]).abs() >= box[:, None] / 2  # [N, side]
        outside = outside | (far[:, None, :] if name == "cutout_x" else far[:, :, None])
        del shape
    return images * outside[:, None].to(images.dtype)
