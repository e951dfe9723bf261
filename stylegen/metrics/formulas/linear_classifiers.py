"""Linear classifiers in float64: the support vector machine with squared hinge, and logistic regression.

Both minimize a strictly convex function of v = (weights, bias), on rows x that end with a 1, with y = 1 or -1:

    |v|^2 / 2 + C sum_i loss(y_i x_i.v),    loss(m) = max(0, 1 - m)^2  or  log(1 + exp(-m)).

The bias is regularized too, as in LIBLINEAR and in scikit-learn's `LinearSVC`, whose default is the first with C = 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

TOLERANCE = 1e-8
"""Norm of the gradient at the solution, relative to its norm at v = 0."""

_MAX_STEPS, _MAX_HALVINGS, _MAX_PRODUCTS = 200, 50, 500
_MAX_DIRECT = 1024  # columns

Loss = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def squared_hinge(margins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """max(0, 1 - m)^2, its derivative, and its second derivative, which is 0 or 2."""
    missing = (1 - margins).clamp_min(0)
    return missing.square(), -2 * missing, 2 * (missing > 0).double()


def logistic(margins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log(1 + exp(-m)) and its two derivatives."""
    p = torch.sigmoid(-margins)
    return functional.softplus(-margins), -p, p * (1 - p)


def with_ones(rows: Tensor) -> Tensor:
    """[N, d] -> float64 [N, d + 1], for the bias."""
    return torch.cat([rows.double(), torch.ones(len(rows), 1, dtype=torch.float64)], dim=1)


def fit(rows: Tensor, positive: Tensor, loss: Loss, c: float = 1.0) -> Tensor:
    """The minimizer v, float64 [d], by Newton's method with a line search.

    Args:
        rows: float64 [N, d], see `with_ones`.
        positive: bool [N]; y is 1 where True, -1 elsewhere.
        loss: `squared_hinge` or `logistic`.
        c: C of the formulas above; larger values regularize less.

    Raises:
        ArithmeticError: `TOLERANCE` is not reached.
    """
    signed = rows * torch.where(positive, 1.0, -1.0)[:, None]
    v, margins = rows.new_zeros(rows.shape[1]), rows.new_zeros(len(rows))
    first = None
    for _ in range(_MAX_STEPS):
        _, slope, curvature = loss(margins)
        gradient = v + c * (signed.T @ slope)
        size = float(gradient.norm())
        first = size if first is None else first
        if size <= TOLERANCE * first:
            return v
        step = _newton_step(signed, c * curvature, gradient, accuracy=min(0.1, (size / first) ** 0.5))
        ahead = signed @ step
        length = _step_length(lambda t: _value(v + t * step, margins + t * ahead, loss, c), float(gradient @ step))  # noqa: B023
        v, margins = v + length * step, margins + length * ahead
    raise ArithmeticError(f"a linear classifier did not converge: gradient {size:.3g} after {_MAX_STEPS} Newton steps")


def _value(v: Tensor, margins: Tensor, loss: Loss, c: float) -> float:
    return float(v @ v / 2 + c * loss(margins)[0].sum())


def _step_length(value: Callable[[float], float], slope: float) -> float:
    """The first of 1, 1/2, 1/4, ... with enough descent (Armijo); 1 at the limit of float64's digits."""
    start = value(0)
    for halvings in range(_MAX_HALVINGS):
        if value(0.5**halvings) <= start + 1e-4 * 0.5**halvings * slope:
            return 0.5**halvings
    return 1.0


def _newton_step(rows: Tensor, weights: Tensor, gradient: Tensor, accuracy: float) -> Tensor:
    """Solves (I + X^T diag(weights) X) s = -gradient: directly for few columns, else to a relative residual.

    A trained w has columns of very different variance, for which conjugate gradients would need thousands of products.
    """
    if rows.shape[1] <= _MAX_DIRECT:
        active = weights > 0
        kept = rows[active] * weights[active, None].sqrt()
        hessian = torch.addmm(torch.eye(rows.shape[1], dtype=rows.dtype), kept.T, kept)
        return torch.cholesky_solve(-gradient[:, None], torch.linalg.cholesky(hessian))[:, 0]
    step, residual = torch.zeros_like(gradient), -gradient
    direction, square = residual, residual @ residual
    enough = accuracy**2 * square
    for _ in range(_MAX_PRODUCTS):
        product = direction + rows.T @ (weights * (rows @ direction))
        length = square / (direction @ product)
        step, residual = step + length * direction, residual - length * product
        last, square = square, residual @ residual
        if square <= enough:
            break
        direction = residual + square / last * direction
    return step
