"""Discriminator regularizers against NumPy formulas, their derivatives against differences, and extreme inputs."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.regularizers import REGULARIZERS, CriticBatch, Regularizer
from tests.support.regularizer_formulas import ERRORS, FORMULAS, Case

PENALTIES = [name for name, formula in FORMULAS.items() if REGULARIZERS[name]().differentiates]
SHAPE = (3, 8, 8)  # bCR shifts by one pixel
SIZE = math.prod(SHAPE)
SECOND = 0.7


def numbers(purpose: str, *shape: int, count: int = 5) -> Tensor:
    return randomness.normal(0, purpose, torch.arange(count), shape).double()


def critic_weights() -> tuple[Tensor, Tensor, Tensor]:
    """A, b, M; A is symmetric, and gradients and logits are of order 1."""
    A = numbers("A", SIZE, count=SIZE) / SIZE
    return (A + A.T) / 2, numbers("b", count=SIZE) / math.sqrt(SIZE), numbers("M", SIZE, count=4) / math.sqrt(SIZE)


def quadratic(A: Tensor, b: Tensor, M: Tensor) -> Callable[..., DiscriminatorOutputs]:
    def critic(images: Tensor, labels: Tensor, view: str) -> DiscriminatorOutputs:
        s, x = (1.0 if view in ("real", "fake") else SECOND), images.flatten(1)
        logits = s * ((x @ A * x).sum(dim=1) / 2 + x @ b)
        return DiscriminatorOutputs(logits[:, None], s * x @ M.T, divergence=logits[:, None].square())

    return critic


def is_of_outputs(regularizer: Regularizer) -> bool:
    """Whether the term is one of the discriminator's outputs."""
    return regularizer.network == "D" and bool(regularizer.sources)


def new_batch(
    regularizer: Regularizer, critic: Callable[..., DiscriminatorOutputs], count: int = 5, downscale: int = 1
) -> CriticBatch:
    generated = randomness.generate(0, torch.arange(count), regularizer.random_inputs(SHAPE, 2))
    random = {name: value.double() for name, value in generated.items()}
    real, fake = (numbers(kind, *SHAPE, count=count).requires_grad_() for kind in ("real", "fake"))
    labels = torch.zeros(count, 0)
    regularizer.begin_step(10**6)
    regularizer.observe([real.detach()[: count // 2], real.detach()[count // 2 :]])
    return CriticBatch(
        critic=critic,
        real=real,
        labels=labels,
        fake=fake,
        fake_labels=labels,
        downscale=downscale,
        random=random,
        z=torch.ones(count, 2).double(),
        resynthesize=lambda z: z[:, :1, None, None] * fake.detach(),
    )


def value_of(name: str, *weights: Tensor, downscale: int = 1) -> Tensor:
    regularizer = REGULARIZERS[name]().double()
    return regularizer(new_batch(regularizer, quadratic(*weights), downscale=downscale))


def case_of(name: str) -> Case:
    batch = new_batch(REGULARIZERS[name]().double(), quadratic(*critic_weights()))
    assert batch.fake is not None
    random = {name: value.numpy() for name, value in batch.random.items()}
    A, b, M = (weight.numpy() for weight in critic_weights())
    return Case(batch.real.detach().numpy(), batch.fake.detach().numpy(), random, A, b, M, SECOND)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_paper_s_formula(name: str) -> None:
    """Up to EPS = 1e-12 in norms of order 1."""
    assert value_of(name, *critic_weights()).item() == pytest.approx(FORMULAS[name](case_of(name)), rel=1e-10)


@pytest.mark.parametrize(("name", "wrong"), ERRORS, ids=lambda value: getattr(value, "__name__", value))
def test_errors_of_public_code_give_another_value(name: str, wrong: Callable[[Case], float]) -> None:
    assert abs(wrong(case_of(name)) / value_of(name, *critic_weights()).item() - 1) > 1e-3


@pytest.mark.parametrize("name", PENALTIES)
def test_norms_refer_to_full_size_images(name: str) -> None:
    expected = FORMULAS[name](replace(case_of(name), downscale=2))
    assert value_of(name, *critic_weights(), downscale=2).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_by_the_critic_s_weights(name: str) -> None:
    """Second derivatives of D, for a penalty."""
    A, b, M = critic_weights()
    small = [torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(3)]

    def function(*shifts: Tensor) -> Tensor:
        return value_of(name, *(weight + t * weight for weight, t in zip((A, b, M), shifts, strict=True)))

    assert torch.autograd.gradcheck(function, small, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("name", [name for name in REGULARIZERS if is_of_outputs(REGULARIZERS[name]())])
def test_extreme_logits_and_zero_gradients(name: str, scale: float, count: int) -> None:
    """Constant logits with a zero gradient, and logits of +-1e4, in float32 and for a batch of one."""
    weight = torch.zeros(SIZE, requires_grad=True)

    def critic(images: Tensor, labels: Tensor, view: str) -> DiscriminatorOutputs:
        logits = images.flatten(1).float() @ weight + scale
        return DiscriminatorOutputs(logits[:, None], logits[:, None], divergence=logits[:, None].abs())

    regularizer = REGULARIZERS[name]()
    value = regularizer(new_batch(regularizer, critic, count))
    (gradient,) = torch.autograd.grad(value, weight, allow_unused=True)
    assert value.isfinite()
    assert gradient is None or gradient.isfinite().all()


def test_interpolates_lie_between_the_images_of_a_pair() -> None:
    seen: list[Tensor] = []

    def critic(images: Tensor, labels: Tensor, view: str) -> DiscriminatorOutputs:
        seen.append(images)
        return DiscriminatorOutputs(images.sum(dim=[1, 2, 3])[:, None])

    batch = new_batch(regularizer := REGULARIZERS["zero_gp"](), critic)
    regularizer(batch)
    assert batch.fake is not None
    shares = ((seen[0] - batch.fake) / (batch.real - batch.fake)).flatten(1)
    assert np.ptp(shares.detach().numpy(), axis=1).max() < 1e-9
    assert 0 <= shares.min() < shares.max() < 1
