"""G_ema, the exponential moving average of the generator's weights, with a half-life in images (Karras et al. 2018,
arXiv 1710.10196, section 5; ramp-up as in StyleGAN2-ADA)."""

import torch
from torch import nn

from stylegen.bounds import Kimg, Share, check_arguments
from stylegen.cosine_schedule import CosineSchedule
from stylegen.layers.conditioning import batch_statistics, standing_statistics
from stylegen.networks import StyleGenerator
from stylegen.training.random_inputs import InputSpec, RandomInputs

_STANDING_BATCHES, _STANDING_BATCH = 16, 32


class EMA:
    """EMA of the generator, with a half-life that is shorter at the start of a run.

    half-life = min(kimg * 1000, rampup * images seen), decay of one step = 0.5^(batch / half-life). With `ramp_kimg`,
    kimg * 1000 is reached along a cosine (`stylegen.cosine_schedule`).

    Args:
        kimg: half-life in thousands of images.
        rampup: upper bound of the half-life, as a share of the images seen; null for no ramp-up. With `init` the
            default is null, because at 0 images seen the decay is 0, and the first step would replace the trained EMA.
        ramp_kimg: the half-life rises from 0 to `kimg` over this many thousand images, as in R3GAN; 0 for no rise.

    Raises:
        UserError: a half-life or share outside its bounds.
    """

    def __init__(self, kimg: Kimg = 10.0, rampup: Share | None = 0.05, ramp_kimg: Kimg = 0.0) -> None:
        check_arguments("ema", EMA, locals())
        self.kimg, self.rampup = kimg, rampup
        self.schedule = CosineSchedule(0.0, kimg, ramp_kimg) if ramp_kimg else CosineSchedule(kimg)

    def decay(self, images_seen: int, batch_size: int) -> float:
        """Weight of the previous EMA in [0, 1); 0 at the first step with ramp-up or rise.

        Args:
            images_seen: training images before this step.
            batch_size: images of this step.
        """
        half_life = self.schedule.at(images_seen) * 1000
        if self.rampup is not None:
            half_life = min(half_life, images_seen * self.rampup)
        return 0.5 ** (batch_size / max(half_life, 1e-8))

    @torch.no_grad()
    def update(self, ema: nn.Module, live: nn.Module, images_seen: int, batch_size: int) -> None:
        """ema <- decay * ema + (1 - decay) * live for parameters; buffers are copied."""
        decay = self.decay(images_seen, batch_size)
        torch._foreach_lerp_(list(ema.parameters()), list(live.parameters()), 1 - decay)
        for target, source in zip(ema.buffers(), live.buffers(), strict=True):
            target.copy_(source)


@torch.no_grad()
def update_standing_statistics(generator: StyleGenerator, random_inputs: RandomInputs) -> None:
    """Compute the statistics of batch normalization from 512 generated images (Brock et al. 2019, arXiv 1809.11096,
    section 4.1). Does nothing for a generator without batch normalization.

    G_ema needs this before it generates: its running statistics are copies from G and fit other weights. `EMA.update`
    copies them again at the next step, so training does not depend on it. Every rank generates the same images.
    """
    if not batch_statistics(generator):
        return
    spec = InputSpec(generated=_STANDING_BATCH, noise_sizes=generator.synthesis.noise_sizes)
    with standing_statistics(generator):
        for start in range(0, _STANDING_BATCHES * _STANDING_BATCH, _STANDING_BATCH):
            indices = torch.arange(start, start + _STANDING_BATCH, device=generator.mapping.w_avg.device)
            inputs = random_inputs.generate("standing", indices, spec).synthesis
            assert inputs is not None
            w = generator.mapping(inputs.z, inputs.labels)
            generator.synthesis(w.unsqueeze(1).repeat(1, generator.num_ws, 1), inputs.noise)
