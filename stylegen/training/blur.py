"""Blur of the images that the discriminator sees, which fades out at the start of training (Karras et al. 2021,
arXiv 2106.12423, section 3.2, "Rotation equivariance").

StyleGAN3-R learns high frequencies late; without them the discriminator would recognize its images too easily.
"""

import math
from typing import Annotated

import torch
from torch import Tensor

from stylegen.bounds import Kimg, Range, check_arguments
from stylegen.layers.resample import upfirdn2d


class BlurRamp:
    """The width of the blur as a function of the images seen, t: sigma(t) = sigma max(1 - t / fade, 0).

    Args:
        sigma: blur of the discriminator's images at the start, in pixels; 0 for none. StyleGAN3-R is published with 10.
        fade_kimg: thousands of images until the blur is gone; published with 200 for batches of 32, 400 for 64.
    """

    def __init__(self, sigma: Annotated[float, Range(0, 64)] = 0.0, fade_kimg: Kimg = 200.0) -> None:
        check_arguments("blur", BlurRamp, locals())
        self.sigma, self.fade_kimg = sigma, fade_kimg

    def sigma_at(self, images_seen: int) -> float:
        """In pixels, for the step that follows `images_seen` images."""
        if self.fade_kimg == 0:
            return 0.0
        return self.sigma * max(1 - images_seen / (1000 * self.fade_kimg), 0.0)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Filter both axes with 2^-(d / sigma)^2 for distances d of at most floor(3 sigma), normalized; zeros outside.

    As published, sigma is the half width at half maximum of this Gaussian. Below 1/3 there is one tap: no blur.

    Shape: [N, C, H, W] -> [N, C, H, W].
    """
    reach = math.floor(3 * sigma)
    if reach == 0:
        return images
    distances = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu")
    taps = torch.exp2(-((distances / sigma) ** 2))
    row = (taps / taps.sum()).to(images)[None]
    images = upfirdn2d(images, row, padding=(reach, reach, 0, 0))
    return upfirdn2d(images, row.T, padding=(0, 0, reach, reach))
