import numpy as np
import pytest

from stylegen.errors import UserError
from stylegen.losses.least_squares import LeastSquares
from tests.support.loss_formulas import assert_formulas


@pytest.mark.parametrize(("a", "b", "c"), [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (0.5, 2.0, -3.0)])
def test_by_the_papers_formula(a: float, b: float, c: float) -> None:
    """Eq. 2, on the logit itself: a sigmoid before it would give other values."""
    d = lambda r, f: 0.5 * np.mean((r.logits - b) ** 2) + 0.5 * np.mean((f.logits - a) ** 2)  # noqa: E731
    assert_formulas(LeastSquares(a, b, c), d=d, g=lambda r, f: 0.5 * np.mean((f.logits - c) ** 2))


def test_the_first_targets_are_the_default() -> None:
    assert (LeastSquares().a, LeastSquares().b, LeastSquares().c) == (0, 1, 1)
    with pytest.raises(UserError, match=r"loss\.a=inf"):
        LeastSquares(a=float("inf"))
