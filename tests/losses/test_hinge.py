import numpy as np
import pytest
import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.hinge import Hinge
from tests.support.loss_formulas import assert_formulas


def test_by_the_papers_formula() -> None:
    d = lambda r, f: np.maximum(0, 1 - r.logits).mean() + np.maximum(0, 1 + f.logits).mean()  # noqa: E731
    assert_formulas(Hinge(), d=d, g=lambda r, f: -f.logits.mean())


def test_images_beyond_the_margin_have_no_gradient() -> None:
    logits = torch.tensor([[2.0], [0.5], [-2.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(
        Hinge().discriminator(DiscriminatorOutputs(logits), DiscriminatorOutputs(-logits.detach())), logits
    )
    assert gradient[:, 0].tolist() == pytest.approx([0, -1 / 3, -1 / 3])
