import numpy as np
import pytest
import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.gan_qp import GANQP
from tests.support.loss_formulas import assert_formulas, record


@pytest.mark.parametrize("weight", [10.0, 3.0])
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_by_the_papers_formula(distance: str, weight: float) -> None:
    """D: E [ delta^2 / (2 lambda d) - delta ], pair by pair."""

    def d(r: DiscriminatorOutputs, f: DiscriminatorOutputs) -> float:
        total = 0.0
        for x, y, a, b in zip(r.images, f.images, r.logits[:, 0], f.logits[:, 0], strict=True):
            apart = np.abs(x - y).mean() if distance == "l1" else np.sqrt(((x - y) ** 2).mean())
            total += (a - b) ** 2 / (2 * weight * apart) - (a - b)
        return total / len(r.logits)

    assert_formulas(GANQP(weight, distance), d=d, g=lambda r, f: -f.logits.mean())


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_equal_images_give_finite_losses_and_gradients(distance: str) -> None:
    real = record(0, count=1)
    logits = real.logits.requires_grad_()
    value = GANQP(distance=distance).discriminator(real, real._replace(logits=logits.detach() - 1))
    assert torch.autograd.grad(value, logits)[0].isfinite().all()
    assert value.isfinite()
