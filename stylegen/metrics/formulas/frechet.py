"""Frechet distance between Gaussians, from moments accumulated batch by batch in float64."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor


class Moments:
    """Count, mean and scatter of features in float64; memory does not grow with the number of images.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque 1979: with n = n_a + n_b and
    d = mean_b - mean_a,

        mean = mean_a + d n_b / n,    scatter = scatter_a + scatter_b + d d^T n_a n_b / n,

    which is accurate even if raw sums cancel (random features have a mean far larger than their spread).

    Attributes:
        count: number of feature vectors.
        mean: float64 [dim].
        scatter: float64 [dim, dim], the sum of (f - mean)(f - mean)^T.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0
        self.mean = torch.zeros(dim, dtype=torch.float64)
        self.scatter = torch.zeros(dim, dim, dtype=torch.float64)

    @classmethod
    def of(cls, count: int, mean: Tensor, scatter: Tensor) -> Self:
        """From known `mean` float64 [dim] and `scatter` float64 [dim, dim]."""
        moments = cls(len(mean))
        moments.count, moments.mean, moments.scatter = count, mean, scatter.clone()  # updated in place
        return moments

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], suffix: str = "") -> Self:
        """Inverse of `to_arrays`."""
        count, mean, scatter = (arrays[f"{name}{suffix}"] for name in ("count", "mean", "scatter"))
        return cls.of(int(count), torch.from_numpy(mean), torch.from_numpy(scatter))

    def to_arrays(self, suffix: str = "") -> dict[str, np.ndarray]:
        """Arrays by name, for a file."""
        values = {"count": self.count, "mean": self.mean, "scatter": self.scatter}
        return {f"{name}{suffix}": np.asarray(value) for name, value in values.items()}

    def update(self, features: Tensor) -> None:
        """Adds features [N, dim] of any float type; N may be 0."""
        if len(features) == 0:
            return
        values = features.detach().cpu().double()  # Apple's GPUs have no float64
        mean = values.mean(dim=0)
        centered = values - mean
        self.scatter.addmm_(centered.T, centered)
        self._join(len(values), mean)

    def merge(self, other: "Moments") -> None:
        """Adds the features that `other` has accumulated."""
        self.scatter += other.scatter
        self._join(other.count, other.mean)

    def _join(self, count: int, mean: Tensor) -> None:
        """Moves the mean; the two scatters, each about its own mean, are already added."""
        total = self.count + count
        if total == 0:
            return
        shift = mean - self.mean
        self.scatter.addr_(shift, shift, alpha=self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def covariance(self, ddof: int = 1) -> Tensor:
        """float64 [dim, dim]: scatter / (count - ddof); torch-fidelity uses ddof 1, fid50k_full ddof 0.

        Raises:
            ValueError: at most `ddof` feature vectors.
        """
        if self.count <= ddof:
            raise ValueError(f"a covariance with ddof={ddof} of {self.count} feature vectors")
        return self.scatter / (self.count - ddof)


def frechet_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)), in float64, at least 0 (Heusel et al. 2017, eq. 6).

    With S_i = F_i F_i^T the eigenvalues of S1 S2 are the squared singular values of F1^T F2, so the trace of the root
    is the sum of these singular values: real and at least 0 at any rank. Computed eigenvalues of S1 S2 itself are
    complex or negative if there are fewer images than features.

    Args:
        mean_1, mean_2: float64 [dim].
        covariance_1, covariance_2: float64 [dim, dim], symmetric positive semi-definite.
    """
    shift = mean_1 - mean_2
    cross = torch.linalg.svdvals(_factor(covariance_1).T @ _factor(covariance_2)).sum()
    distance = shift @ shift + covariance_1.trace() + covariance_2.trace() - 2 * cross
    return max(float(distance), 0.0)


def distance(moments_1: Moments, moments_2: Moments, ddof: int = 1) -> float:
    """`frechet_distance` of two sets of features, from their moments; covariances are divided by N - ddof."""
    return frechet_distance(moments_1.mean, moments_1.covariance(ddof), moments_2.mean, moments_2.covariance(ddof))


def _factor(covariance: Tensor) -> Tensor:
    """F [dim, rank] with F F^T = S: eigenvectors times square roots of the eigenvalues above rounding error."""
    values, vectors = torch.linalg.eigh(covariance)
    limit = values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    kept = values > limit
    return vectors[:, kept] * values[kept].sqrt()
