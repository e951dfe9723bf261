"""Compares a loss with a NumPy formula: values, and gradients with central differences of the formula."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses import Loss

N, FEATURES, CLASSES = 5, 4, 3
DIFFERENTIATED = ("logits", "features", "label_logits")
# Central differences of step h have an error of h^2 / 6 times the third derivative, below 1e-9 for values of order 1,
# and of 2^-53 / h in rounding.
STEP, TOLERANCE = 1e-5, 1e-8

Formula = Callable[[DiscriminatorOutputs, DiscriminatorOutputs], float]


def record(seed: int, labels: Tensor | None = None, scale: float = 1.0, count: int = N) -> DiscriminatorOutputs:
    """Outputs in float64 for `count` images, every field present; the labels are one-hot by default."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return DiscriminatorOutputs(
        logits=normal(count, 1) * scale,
        features=normal(count, FEATURES) * scale,
        label_logits=normal(count, CLASSES) * scale,
        divergence=normal(count, 1).square(),
        labels=torch.eye(CLASSES, dtype=torch.float64)[torch.arange(count) % CLASSES] if labels is None else labels,
        images=normal(count, 3, 4, 4).tanh(),
    )


def assert_formulas(
    loss: Loss,
    d: Formula,
    g: Formula,
    real: DiscriminatorOutputs | None = None,
    fake: DiscriminatorOutputs | None = None,
) -> None:
    """`loss.discriminator` is `d` and `loss.generator` is `g` up to a constant of the real images; so are their
    gradients with respect to logits, features and label logits.

    Args:
        d, g: functions of two records of NumPy arrays, real and fake -> float.
    """
    real, fake = record(0) if real is None else real, record(1) if fake is None else fake
    for formula, ours in (
        (d, lambda r, f: copy.deepcopy(loss).discriminator(r, f)),
        (g, lambda r, f: copy.deepcopy(loss).generator(f, r)),
    ):
        records = [_requiring_gradients(r) for r in (real, fake)]
        value = ours(*records)
        arrays = [DiscriminatorOutputs(*(v.detach().numpy().copy() for v in r)) for r in records]
        assert value.shape == ()
        np.testing.assert_allclose(value.item(), formula(*arrays), rtol=1e-12, atol=1e-12)
        trained = range(2) if formula is d else (1,)  # the generator's side has gradients for its images only
        for side in trained:
            for field in DIFFERENTIATED:
                leaf = getattr(records[side], field)
                (found,) = torch.autograd.grad(value, leaf, retain_graph=True, allow_unused=True)
                expected = _differences(formula, arrays, getattr(arrays[side], field))
                found = torch.zeros_like(leaf) if found is None else found
                np.testing.assert_allclose(found.numpy(), expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=field)


def _requiring_gradients(r: DiscriminatorOutputs) -> DiscriminatorOutputs:
    return r._replace(**{name: getattr(r, name).clone().requires_grad_() for name in DIFFERENTIATED})


def _differences(formula: Formula, arrays: list[DiscriminatorOutputs], leaf: np.ndarray) -> np.ndarray:
    """Central differences by each entry of `leaf`, one of the arrays."""
    found = np.zeros_like(leaf)
    for index in np.ndindex(leaf.shape):
        values, before = [], leaf[index]
        for step in (STEP, -STEP):
            leaf[index] = before + step
            values.append(formula(*arrays))
        leaf[index] = before
        found[index] = (values[0] - values[1]) / (2 * STEP)
    return found
