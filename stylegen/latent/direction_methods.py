"""Unit vectors of w along which images change: from the weights, from the spread of w, and from two sets of examples.

- `factorize`: closed-form factorization, SeFa (Shen and Zhou 2021, arXiv 2007.06600).
- `principal_components`: GANSpace (Härkönen et al. 2020, arXiv 2004.02546).
- `fit_boundary`: the normal of a linear boundary, InterFaceGAN (Shen et al. 2020, arXiv 2005.09635).

Letters: N samples, K directions, L style slots, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stylegen.errors import UserError
from stylegen.latent.style_space import style_layers
from stylegen.networks import StyleGenerator

L2 = 0.1  # of the boundary's normal, for examples of unit variance
HELD_OUT = 5  # every fifth example measures the accuracy
_MAX_STEPS = 500  # of L-BFGS


def singular_directions(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Unit vectors n with the largest |A n|^2, orthogonal to each other, and A with rows scaled to unit length.

    These are the eigenvectors of A^T A (arXiv 2007.06600, Eq. 6).

    Args:
        matrix: A [R, D]; rows of zeros have no effect.
        count: K, at most D.

    Returns:
        [K, D] and eigenvalues [K], descending, float64. The component of each vector with the largest magnitude is
        positive.
    """
    rows = functional.normalize(matrix.double().cpu(), dim=1)
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    return fixed_signs(vectors.T.flip(0)[:count]), values.flip(0)[:count].clamp(min=0)


def factorize(generator: StyleGenerator, layers: Sequence[int], count: int) -> tuple[Tensor, Tensor]:
    """SeFa: `singular_directions` of the weights that map w to the styles of `layers`.

    Returns:
        [K, D], and each direction's share of the sum of all eigenvalues [K].

    Raises:
        UserError: no layer of the range is a linear map of w.
    """
    weights = [layer.matrix for layer in style_layers(generator) if layer.slot in layers]
    if not weights:
        raise UserError(
            f"method=sefa with layers {layers[0]} to {layers[-1]}",
            rule="none of these layers computes its style from w by a linear map",
            fix="Use method=pca, which samples w",
        )
    directions, values = singular_directions(torch.cat(weights), generator.w_dim)
    return directions[:count], values[:count] / values.sum()


def principal_components(w: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Eigenvectors of the covariance of w [N, D] with the largest variances.

    Returns:
        [K, D] and their shares of the total variance [K], descending, float64; signs as in `singular_directions`.
    """
    centered = w.double().cpu() - w.double().cpu().mean(dim=0)
    values, vectors = torch.linalg.eigh(centered.T @ centered / (len(w) - 1))
    return fixed_signs(vectors.T.flip(0)[:count]), (values.flip(0) / values.sum())[:count].clamp(min=0)


@dataclass(frozen=True)
class Boundary:
    """A hyperplane n x = offset between two sets of vectors.

    Attributes:
        normal: n [D], float64, of unit length, to the positive side.
        offset: position along n.
        accuracy: share of held-out examples on their side, the mean of both sets.
        examples: numbers of positive and negative examples, those held out included.
    """

    normal: Tensor
    offset: float
    accuracy: float
    examples: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        """Signed distance from the boundary: [N, D] -> [N], float64."""
        return x.double().cpu() @ self.normal - self.offset


def fit_boundary(positive: Tensor, negative: Tensor) -> Boundary:
    """Logistic regression in float64, with both sets weighted equally and every fifth example held out.

    Minimizes (mean of log(1 + e^-f) over positive x + mean of log(1 + e^f) over negative x) / 2 + L2 / 2 |v|^2 with
    f = v (x - mean) / deviation + b, by L-BFGS. `deviation` is one number for all D, so that the normal does not depend
    on the scale of x.

    Args:
        positive, negative: [N, D] each; at least two, so that each set has one to learn from and one held out.

    Raises:
        UserError: fewer examples, or the same ones in both sets.
    """
    sets = [x.double().cpu() for x in (positive, negative)]
    if min(map(len, sets)) < 2:
        raise UserError(
            f"{len(positive)} positive and {len(negative)} negative examples",
            rule="a boundary needs at least two of each",
            fix="Use positive= and negative= with more images; some hundred of each give a direction",
        )
    held = [torch.arange(len(x)) % HELD_OUT == min(HELD_OUT, len(x)) - 1 for x in sets]
    learned = [x[~h] for x, h in zip(sets, held, strict=True)]
    mean = torch.stack([x.mean(dim=0) for x in learned]).mean(dim=0)
    deviation = torch.stack([(x - mean).square().mean() for x in learned]).mean().sqrt().clamp(min=1e-12)
    v, b = _logistic_regression(*((x - mean) / deviation for x in learned))
    length = v.norm()
    if length < 1e-9:
        raise UserError(
            f"{len(positive)} positive and {len(negative)} negative examples",
            rule="a boundary needs sets that differ",
            fix="Use positive= and negative= with different images; with labels=project, more steps=",
        )
    normal = v / length
    boundary = Boundary(normal, float(normal @ mean - deviation * b / length), 0.0, (len(positive), len(negative)))
    right = [(boundary(x[h]) > 0) == (side == 0) for side, (x, h) in enumerate(zip(sets, held, strict=True))]
    accuracy = sum(r.double().mean().item() for r in right) / 2
    return Boundary(normal, boundary.offset, accuracy, boundary.examples)


def _logistic_regression(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """v [D] and b []."""
    v, b = positive.new_zeros(positive.shape[1], requires_grad=True), positive.new_zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([v, b], max_iter=_MAX_STEPS, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def loss() -> Tensor:
        optimizer.zero_grad()
        errors = functional.softplus(-(positive @ v + b)).mean() + functional.softplus(negative @ v + b).mean()
        total = errors / 2 + L2 / 2 * v.square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(loss)
    return v.detach(), b.detach()


def fixed_signs(directions: Tensor) -> Tensor:
    """[K, D], each with its largest component positive."""
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    return directions * largest.sign()
