import math

import torch

from stylegen.losses import LOSSES
from stylegen.losses.nonsaturating import discriminator_loss, generator_loss


def test_by_the_papers_formula() -> None:
    real, fake = torch.randn(5, 1, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    sigmoid = lambda v: 1 / (1 + math.exp(-v))  # noqa: E731
    expected = (
        sum(-math.log(sigmoid(r)) for r in real[:, 0]) / 5 + sum(-math.log(1 - sigmoid(f)) for f in fake[:, 0]) / 5
    )
    torch.testing.assert_close(discriminator_loss(real, fake).item(), expected)
    torch.testing.assert_close(generator_loss(fake).item(), sum(-math.log(sigmoid(f)) for f in fake[:, 0]) / 5)


def test_large_logits_do_not_overflow() -> None:
    big = torch.full((2, 1), 1e4)
    for loss in LOSSES.values():
        assert loss.generator(-big).isfinite()
        assert loss.discriminator(-big, big).isfinite()
