"""The features of a set of images as metrics need them: moments, features, or both."""

from collections.abc import Iterable, Mapping
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from stylegen import distributed
from stylegen.metrics.formulas.frechet import Moments

Kind = Literal["moments", "features"]
Arrays = dict[str, np.ndarray]


class FeatureSet:
    """Accumulates the features of a set of images, batch by batch.

    Args:
        dim: number of features.
        kinds: what to keep.

    Attributes:
        moments: mean and scatter, if "moments" are kept.
        latents: z and w of generated images, float32 [N, dim], if a metric needs them.
        attributes: bool [N, K] of real images, if a metric needs them.
    """

    def __init__(self, dim: int, kinds: Iterable[Kind]) -> None:
        kept = set(kinds)
        self.moments = Moments(dim) if "moments" in kept else None
        self._chunks: list[Tensor] | None = [] if "features" in kept else None
        self._dim = dim
        self.latents: dict[str, Tensor] = {}
        self.attributes: Tensor | None = None

    @classmethod
    def of(cls, moments: Moments | None, features: Tensor | None) -> Self:
        """From known moments and features."""
        known = cls(0, ())
        known.moments, known._chunks = moments, None if features is None else [features]
        return known

    def update(self, features: Tensor) -> None:
        """Adds features float32 [N, dim] on the CPU, in the order of the images."""
        if self.moments is not None:
            self.moments.update(features)
        if self._chunks is not None:
            self._chunks.append(features)

    @property
    def features(self) -> Tensor:
        """float32 [N, dim], if "features" are kept."""
        assert self._chunks is not None
        if len(self._chunks) != 1:
            self._chunks = [torch.cat(self._chunks) if self._chunks else torch.empty(0, self._dim)]
        return self._chunks[0]

    def gathered(self, count: int) -> "FeatureSet":
        """The features of all ranks on rank 0, for `count` images in order."""
        moments = None if self.moments is None else gather_moments(self.moments)
        return FeatureSet.of(moments, None if self._chunks is None else distributed.gather_rows(self.features, count))

    def to_arrays(self) -> Arrays:
        """Arrays by name, for a file."""
        arrays: Arrays = {}
        if self.moments is not None:
            arrays |= self.moments.to_arrays()
        if self._chunks is not None:
            arrays["features"] = self.features.numpy()
        return arrays

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Inverse of `to_arrays`."""
        if self.moments is not None:
            self.moments = Moments.from_arrays(arrays)
        if self._chunks is not None:
            self._chunks = [torch.from_numpy(arrays["features"])]


def gather_moments(moments: Moments) -> Moments:
    """On rank 0, the moments of all ranks merged in order; on the others, `moments`."""
    if not distributed.is_distributed():
        return moments
    counts = distributed.gather_to_rank0(torch.tensor([moments.count]))
    means, scatters = distributed.gather_to_rank0(moments.mean), distributed.gather_to_rank0(moments.scatter)
    whole = Moments(len(moments.mean))
    for count, mean, scatter in zip(counts, means, scatters, strict=True):
        whole.merge(Moments.of(int(count), mean, scatter))
    return whole
