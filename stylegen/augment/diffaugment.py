"""DiffAugment (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv 2006.10738):
color, translation and cutout, of fixed strength.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentInputs
from stylegen.augment.corruptions import cut_out
from stylegen.errors import unknown_choice

POLICIES = ("color", "translation", "cutout")


class DiffAugment:
    """The policies of section 4, applied in this order.

    Args:
        policies: among color (brightness +- 1/2, saturation x 0 to 2, contrast x 1/2 to 3/2), translation (by whole
            pixels up to 1/8 of the side, filled with 0) and cutout (a box of half the side, filled with 0).

    Raises:
        UserError: an unknown policy.
    """

    uses_image_noise = False

    def __init__(self, policies: Sequence[str] = POLICIES) -> None:
        for policy in policies:
            if policy not in POLICIES:
                raise unknown_choice("augment.policies", policy, POLICIES)
        self.policies = frozenset(policies)

    def __call__(self, images: Tensor, p: float, inputs: AugmentInputs) -> Tensor:
        """Augment each image with probability p, with all policies at once; the paper uses p = 1.

        Shape: [N, C, H, W] -> the same; differentiable to any order with respect to `images`.
        """
        if p == 0:
            return images
        changed = images
        if "color" in self.policies:
            changed = adjust_color(changed, inputs)
        if "translation" in self.policies:
            changed = translate(changed, inputs, limit=1 / 8)
        if "cutout" in self.policies:
            changed = cut_out(changed, inputs, p=1.0, size=1 / 2)
        return torch.where(inputs.gate("diffaugment", p)[:, None, None, None], changed, images)


def adjust_color(images: Tensor, inputs: AugmentInputs) -> Tensor:
    """Brightness x + u - 1/2, saturation about each pixel's mean, contrast about the image's mean; u ~ U(0, 1).

    Shape: [N, C, H, W] -> the same.
    """
    b, s, c = (
        inputs.uniform(name)[:, None, None, None].to(images.dtype) for name in ("brightness", "saturation", "contrast")
    )
    images = images + (b - 0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * (2 * s)
    mean = images.mean(dim=[1, 2, 3], keepdim=True)
    return mean + (images - mean) * (c + 0.5)


def translate(images: Tensor, inputs: AugmentInputs, limit: float) -> Tensor:
    """Translate by whole pixels, uniformly up to `limit` times the side; zero padding.

    Shape: [N, C, H, W] -> the same.
    """
    for dim, name in ((2, "xint_y"), (3, "xint_x")):
        side = images.shape[dim]
        most = round(side * limit)
        shift = torch.floor(inputs.uniform(name) * (2 * most + 1)).long() - most
        position = torch.arange(side, device=images.device) - shift[:, None]  # [N, side]: input positions
        inside = (position >= 0) & (position < side)
        shape = (len(images), 1, -1, 1) if dim == 2 else (len(images), 1, 1, -1)
        index = position.clamp(0, side - 1).reshape(shape).expand_as(images)
        images = images.gather(dim, index) * inside.reshape(shape).to(images.dtype)
    return images
