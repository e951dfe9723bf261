"""Whether the order of a study's variants is stable: over the training, and between seeds."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stylegen.studies.trial import Trial


class OrderAt(NamedTuple):
    """The order of the variants by one metric at one moment of the training.

    Attributes:
        with_end: rank correlation of the variants' means with the final means.
        between_seeds: mean rank correlation of the orders of two seeds; None for a single seed.
    """

    kimg: float
    with_end: float
    between_seeds: float | None


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation, from -1 to 1; equal values share the mean of their ranks; 0 if all are equal."""
    ranks = np.stack([_ranks(first), _ranks(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((ranks**2).sum(axis=1)).prod()
    return float((ranks[0] * ranks[1]).sum() / norms) if norms else 0.0


def orders(trials: Sequence[Trial], key: str) -> list[OrderAt]:
    """The order by metric `key` at every moment at which all trials were evaluated, the end last.

    With fewer than three variants, returns [].
    """
    variants = list(dict.fromkeys(trial.variant for trial in trials))
    seeds = list(dict.fromkeys(trial.seed for trial in trials))
    curves: dict[tuple[str, int], Mapping[float, float]] = {(t.variant, t.seed): t.curves.get(key, {}) for t in trials}
    moments = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    if len(variants) < 3 or len(curves) != len(variants) * len(seeds) or not moments:
        return []
    found = []
    for kimg in moments:
        by_seed = [[curves[variant, seed][kimg] for variant in variants] for seed in seeds]
        means, ends = (
            [statistics.fmean(curves[v, s][at] for s in seeds) for v in variants] for at in (kimg, moments[-1])
        )
        pairs = [rank_correlation(a, b) for a, b in itertools.combinations(by_seed, 2)]
        found.append(OrderAt(kimg, rank_correlation(means, ends), statistics.fmean(pairs) if pairs else None))
    return found


def _ranks(values: Sequence[float]) -> np.ndarray:
    """1 for the smallest value."""
    array = np.asarray(values, dtype=np.float64)
    below = (array[None] < array[:, None]).sum(axis=1)
    return below + ((array[None] == array[:, None]).sum(axis=1) + 1) / 2
