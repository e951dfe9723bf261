"""LeCam regularization (Tseng et al. 2021, arXiv 2104.03310); one-sided as in the authors' code."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stylegen.bounds import Interval, Kimg, Share, Weight, check_arguments
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class LeCam(Regularizer):
    """weight * (E max(0, D(x) - a_F)^2 + E max(0, a_R - D(x'))^2) over real x and generated x'.

    a_R and a_F are exponential moving averages of the logits of real and generated images. They are updated by the
    batch before they are used, without gradient. The paper describes the distances without max(0, .).

    Args:
        weight: factor of the term; 0.3 in the authors' BigGAN, 3e-7 and 1e-6 in their StyleGAN2.
        decay: weight of the previous averages, in [0, 1]; the authors' BigGAN has 0.9, their StyleGAN2 0.99.
        start_kimg: thousands of images before the term counts; until then the averages are the batch's.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.

    The buffers `real` [] and `fake` [] hold a_R and a_F.
    """

    network = "D"
    coupled = True  # by the averages
    sources = ("fake", "real")
    real: Tensor
    fake: Tensor
    started: Tensor

    def __init__(self, weight: Weight = 0.3, decay: Share = 0.99, start_kimg: Kimg = 1.0, every: Interval = 1) -> None:
        check_arguments("regularizers.lecam", LeCam, locals())
        super().__init__(every)
        self.weight, self.decay, self.start_kimg = weight, decay, start_kimg
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))
        self.register_buffer("started", torch.zeros(()), persistent=False)

    def begin_step(self, images_seen: int) -> None:
        self.started.fill_(float(images_seen >= 1000 * self.start_kimg))

    def measure(self, batch: CriticBatch) -> tuple[Tensor, ...]:
        return tuple(batch.outputs(source).logits for source in ("real", "fake"))

    def combine(self, real: Tensor, fake: Tensor) -> Tensor:
        real_mean, fake_mean = self._update(self.real, real), self._update(self.fake, fake)
        terms = (real - fake_mean).relu().square().mean() + (real_mean - fake).relu().square().mean()
        return self.weight * self.started * terms

    def reports(self) -> Mapping[str, Tensor]:
        return {"reg/lecam_real": self.real.clone(), "reg/lecam_fake": self.fake.clone()}

    def _update(self, average: Tensor, logits: Tensor) -> Tensor:
        mean = torch.lerp(logits.detach().mean().to(average.dtype), average, self.decay * self.started)
        mean = torch.where(mean.isfinite(), mean, average)  # skip a step with non-finite logits
        average.copy_(mean)
        return mean
