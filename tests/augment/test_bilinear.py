"""Bilinear sampling and its derivatives against PyTorch's, to second order."""

import torch
import torch.nn.functional as F

from stylegen.augment.warp import bilinear


def test_equal_to_grid_sample_with_first_derivative() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    grid = 2.4 * torch.rand(2, 4, 7, 2, dtype=torch.float64) - 1.2  # some positions are outside the image
    weights = torch.randn(2, 3, 4, 7, dtype=torch.float64)
    native = F.grid_sample(x, grid, align_corners=False)
    assert torch.equal(bilinear(x, grid), native)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (bilinear(x, grid), native))
    assert torch.equal(ours, theirs)


def test_derivatives_of_any_order() -> None:
    x = torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    grid = 2.4 * torch.rand(1, 3, 4, 2, dtype=torch.float64) - 1.2
    assert torch.autograd.gradcheck(lambda t: bilinear(t.square(), grid), (x,))
    assert torch.autograd.gradgradcheck(lambda t: bilinear(t.square(), grid), (x,))
    third = lambda t: torch.autograd.grad(  # noqa: E731
        torch.autograd.grad(bilinear(t.square(), grid).square().sum(), t, create_graph=True)[0].square().sum(),
        t,
        create_graph=True,
    )[0]
    assert torch.autograd.gradcheck(third, (x,))
