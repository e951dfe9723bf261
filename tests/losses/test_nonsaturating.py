import math

import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.nonsaturating import Nonsaturating


def test_by_the_papers_formula() -> None:
    real, fake = torch.randn(5, 1, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    sigmoid = lambda v: 1 / (1 + math.exp(-v))  # noqa: E731
    expected = (
        sum(-math.log(sigmoid(r)) for r in real[:, 0]) / 5 + sum(-math.log(1 - sigmoid(f)) for f in fake[:, 0]) / 5
    )
    loss = Nonsaturating()
    torch.testing.assert_close(
        loss.discriminator(DiscriminatorOutputs(real), DiscriminatorOutputs(fake)).item(), expected
    )
    torch.testing.assert_close(
        loss.generator(DiscriminatorOutputs(fake)).item(), sum(-math.log(sigmoid(f)) for f in fake[:, 0]) / 5
    )
