"""G_ema, the exponential moving average of the generator's weights, by images (Karras et al. 2018, arXiv 1710.10196,
section 5; the ramp-up is StyleGAN2-ADA's)."""

import torch
from torch import nn

from stylegen.bounds import Kimg, Share, check_arguments


class EMA:
    """Half-life in images, shorter while the run is young.

    half-life = min(kimg * 1000, rampup * images seen), decay of one step = 0.5^(batch / half-life).

    Args:
        kimg: half-life in thousands of images.
        rampup: share of the images seen so far that the half-life may not exceed; None for no ramp-up, as a training
            that starts from trained weights (`init`) has it unless one is given: at 0 images seen the decay is 0, and
            the first step would replace the trained average.

    Raises:
        UserError: a half-life or share outside its bounds.
    """

    def __init__(self, kimg: Kimg = 10.0, rampup: Share | None = 0.05) -> None:
        check_arguments("ema", EMA, locals())
        self.kimg, self.rampup = kimg, rampup

    def decay(self, images_seen: int, batch_size: int) -> float:
        """How much of the old average stays; 0 at the very start.

        Args:
            images_seen: before this step's batch.
            batch_size: images of this step.
        """
        half_life = self.kimg * 1000
        if self.rampup is not None:
            half_life = min(half_life, images_seen * self.rampup)
        return 0.5 ** (batch_size / max(half_life, 1e-8))

    @torch.no_grad()
    def update(self, average: nn.Module, live: nn.Module, images_seen: int, batch_size: int) -> None:
        """Move `average` towards `live`; buffers are copied."""
        decay = self.decay(images_seen, batch_size)
        torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - decay)
        for target, source in zip(average.buffers(), live.buffers(), strict=True):
            target.copy_(source)
