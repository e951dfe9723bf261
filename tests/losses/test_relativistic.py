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
    assert (loss.name, dict(loss.arguments)) == ("relativistic", {"pairing": "single", "kind": "standard"})
    assert compose_config("train", ["loss=relativistic", "loss.pairing=average"]).loss.arguments["pairing"] == "average"
    with pytest.raises(UserError, match=r"loss.pairing=single: loss.name=nonsaturating has no such setting"):
        compose_config("train", ["loss=relativistic", "loss.name=nonsaturating"])
    with pytest.raises(UserError, match=r"loss.pairing=mean: no such pairing. Known: average, single"):
        Relativistic("mean")
    with pytest.raises(UserError, match=r"loss.kind=least_square: .* Did you mean least_squares"):
        Relativistic(kind="least_square")


def mean_of(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum() / len(values)


KINDS = {
    "least_squares": (lambda t: (t - 1) ** 2, lambda t: (t + 1) ** 2),
    "hinge": (lambda t: torch.clamp(1 - t, min=0), lambda t: torch.clamp(1 + t, min=0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_least_squares_and_hinge_by_the_formulas_of_the_authors_code(kind: str) -> None:
    """RaLSGAN and RaHingeGAN, which the code halves and the paper does not; and their form for pairs."""
    torch.manual_seed(0)
    logits = [torch.randn(N, 1, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    real, fake = logits
    above, below = KINDS[kind]
    r, f = list(real[:, 0]), list(fake[:, 0])
    mean_r, mean_f = mean_of(r), mean_of(f)
    expected = {
        ("average", "D"): mean_of([above(v - mean_f) for v in r]) + mean_of([below(v - mean_r) for v in f]),
        ("average", "G"): mean_of([below(v - mean_f) for v in r]) + mean_of([above(v - mean_r) for v in f]),
        ("single", "D"): mean_of([above(a - b) for a, b in zip(r, f, strict=True)]),
        ("single", "G"): mean_of([above(b - a) for a, b in zip(r, f, strict=True)]),
    }
    for (pairing, side), theirs in expected.items():
        loss, records = Relativistic(pairing, kind), [DiscriminatorOutputs(v) for v in logits]
        ours = loss.discriminator(*records) if side == "D" else loss.generator(records[1], records[0])
        torch.testing.assert_close(ours, theirs)
        gradients = [torch.autograd.grad(value, logits, retain_graph=True) for value in (ours, theirs)]
        torch.testing.assert_close(*gradients)


def test_the_generators_loss_is_not_the_nonsaturating_one() -> None:
    """PyTorch-GAN's relativistic_gan.py overwrites the relativistic loss of G by softplus(-f) on the next line."""
    real, fake = torch.tensor([[2.0], [3.0]]), torch.tensor([[1.0], [1.0]])
    overwritten = torch.nn.functional.softplus(-fake).mean()
    for pairing in ("single", "average"):
        found = [
            Relativistic(pairing).generator(DiscriminatorOutputs(fake + s), DiscriminatorOutputs(real + s))
            for s in (0, 5)
        ]
        torch.testing.assert_close(*found)  # a common shift of all logits changes nothing
        assert (found[0] - overwritten).abs() > 0.5
