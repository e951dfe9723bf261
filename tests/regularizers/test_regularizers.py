"""R1 and path length in cases with a closed-form solution."""

import math

import pytest
import torch
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError
from stylegen.regularizers import REGULARIZERS, CriticBatch, SynthesisBatch
from stylegen.regularizers.path_length import PathLength, path_lengths
from stylegen.regularizers.r1 import R1


def test_r1_of_a_quadratic_critic() -> None:
    """D(x) = a/2 |x|^2 has gradient a x, so the term is gamma/2 a^2 mean |x|^2, with derivative gamma a mean |x|^2."""
    a = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    energy = lambda images: a / 2 * images.square().sum([1, 2, 3])[:, None]  # noqa: E731
    critic = lambda images, labels, view: DiscriminatorOutputs(energy(images))  # noqa: E731
    value = R1(gamma=10)(CriticBatch(critic, x, torch.zeros(4, 0)))
    mean = x.square().sum([1, 2, 3]).mean()
    torch.testing.assert_close(value, 5 * 9 * mean)
    torch.testing.assert_close(torch.autograd.grad(value, a)[0], 10 * 3 * mean)


def linear_synthesis(ws: Tensor, matrix: Tensor) -> Tensor:
    return (ws.mean(dim=1) @ matrix).reshape(-1, 1, 4, 4)


def test_path_lengths_of_a_linear_network() -> None:
    """image = mean_l(w_l) M: every layer's gradient is M y / L, so the length is |M y| / L."""
    ws = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    matrix, y = torch.randn(5, 16, dtype=torch.float64), torch.randn(3, 1, 4, 4, dtype=torch.float64)
    lengths = path_lengths(linear_synthesis(ws, matrix), ws, y)
    expected = (matrix @ (y.reshape(3, 16).t() / 4)).norm(dim=0) / 2
    torch.testing.assert_close(lengths, expected)


def test_the_moving_average_is_updated_and_part_of_the_graph() -> None:
    matrix = torch.randn(5, 16, dtype=torch.float64, requires_grad=True)
    ws = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    y = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    regularizer = PathLength(weight=2, decay=0.25).double()
    regularizer.mean.fill_(1.0)
    value = regularizer(SynthesisBatch(ws, linear_synthesis(ws, matrix), {"direction": y}))
    lengths = (matrix @ (y.reshape(3, 16).t() / 4)).norm(dim=0) / 2
    mean = 0.75 + 0.25 * lengths.mean()
    torch.testing.assert_close(regularizer.mean, mean.detach())
    expected = 2 * (lengths - mean).square().mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, matrix)[0], torch.autograd.grad(expected, matrix)[0])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("r1", {"gamma": -1}, r"regularizers.r1.gamma=-1: must be a number from 0 to 1000000\. "),
        ("r1", {"gamma": math.nan}, r"regularizers.r1.gamma=nan"),
        ("r1", {"gamma": math.inf}, r"regularizers.r1.gamma=inf"),
        ("path_length", {"weight": -0.5}, r"regularizers.path_length.weight=-0.5"),
        ("path_length", {"weight": math.nan}, r"regularizers.path_length.weight=nan"),
        ("path_length", {"decay": 1.5}, r"regularizers.path_length.decay=1.5"),
        ("path_length", {"batch_shrink": 0}, r"regularizers.path_length.batch_shrink=0"),
    ],
)
def test_impossible_settings(name: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        REGULARIZERS[name](**arguments)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_term_may_be_lazy(name: str) -> None:
    assert REGULARIZERS[name]().network in ("G", "D")
    if REGULARIZERS[name].has_term:
        with pytest.raises(UserError, match=rf"regularizers\.{name}\.every=0"):
            REGULARIZERS[name](every=0)
        assert REGULARIZERS[name](every=2).every == 2


def test_a_scheduled_gamma_may_start_at_a_whole_number() -> None:
    penalty = REGULARIZERS["r1"](gamma=1, gamma_to=0, gamma_kimg=1)
    penalty.begin_step(500)
    assert penalty.combine(torch.ones(3)).item() == pytest.approx(0.25), "half of gamma, which is half way"
