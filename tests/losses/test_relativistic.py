"""The paper's formulas, image by image, with first and second derivatives."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegen.config.compose import compose_config
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError
from stylegen.losses.relativistic import Relativistic

N = 5


def log_sigmoid(t: Tensor) -> Tensor:
    return torch.log(1 / (1 + torch.exp(-t)))


def rsgan(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """L_D = -E log sigmoid(C(x_r) - C(x_f)), L_G = -E log sigmoid(C(x_f) - C(x_r)), over pairs."""
    pairs = list(zip(real[:, 0], fake[:, 0], strict=True))
    return (
        -sum(log_sigmoid(r - f) for r, f in pairs) / N,
        -sum(log_sigmoid(f - r) for r, f in pairs) / N,
    )


def rasgan(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """L_D = -E log D(x_r) - E log(1 - D(x_f)), L_G = -E log D(x_f) - E log(1 - D(x_r)),
    with D(x_r) = sigmoid(C(x_r) - E C(x_f)), D(x_f) = sigmoid(C(x_f) - E C(x_r))."""
    of_real = [1 / (1 + torch.exp(-(r - fake.sum() / N))) for r in real[:, 0]]
    of_fake = [1 / (1 + torch.exp(-(f - real.sum() / N))) for f in fake[:, 0]]
    return (
        -sum(d.log() for d in of_real) / N - sum((1 - d).log() for d in of_fake) / N,
        -sum(d.log() for d in of_fake) / N - sum((1 - d).log() for d in of_real) / N,
    )


@pytest.mark.parametrize(("pairing", "formula"), [("single", rsgan), ("average", rasgan)])
def test_by_the_papers_formula(pairing: str, formula: Callable[..., tuple[Tensor, Tensor]]) -> None:
    logits = [torch.randn(N, 1, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    loss = Relativistic(pairing)
    for side in range(2):
        real, fake = (DiscriminatorOutputs(values) for values in logits)
        ours = loss.generator(fake, real) if side else loss.discriminator(real, fake)
        theirs = formula(*logits)[side]
        torch.testing.assert_close(ours, theirs)
        first = [torch.autograd.grad(value, logits, create_graph=True) for value in (ours, theirs)]
        torch.testing.assert_close(*first)
        second = [torch.autograd.grad(sum(g.square().sum() for g in gradient), logits) for gradient in first]
        torch.testing.assert_close(*second)


def test_at_equal_logits_both_sides_are_log_2() -> None:
    equal = DiscriminatorOutputs(torch.zeros(3, 1))
    assert Relativistic("single").generator(equal, equal).item() == pytest.approx(math.log(2))
    assert Relativistic("average").discriminator(equal, equal).item() == pytest.approx(2 * math.log(2))


def test_its_argument_is_a_setting() -> None:
    loss = compose_config("train", ["loss=relativistic"]).loss
    assert (loss.name, dict(loss.arguments)) == ("relativistic", {"pairing": "single"})
    assert compose_config("train", ["loss=relativistic", "loss.pairing=average"]).loss.arguments["pairing"] == "average"
    with pytest.raises(UserError, match=r"loss.pairing=single: loss.name=nonsaturating has no such setting"):
        compose_config("train", ["loss=relativistic", "loss.name=nonsaturating"])
    with pytest.raises(UserError, match=r"loss.pairing=mean: no such pairing. Known: average, single"):
        Relativistic("mean")
