"""Continues an interrupted evaluation: saves the accumulated features of the fakes to disk at intervals."""

import time
from typing import Self

import numpy as np

from stylegen import distributed
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache
from stylegen.metrics.formulas.feature_set import FeatureSet

SECONDS = 60.0  # between saves: the most work that a killed evaluation loses


class Continuation:
    """Context manager for the accumulated features of one rank: deletes the saved state on success, keeps it on Ctrl-C.

    Args:
        cache: stores the state.
        key: everything that affects the features; None saves nothing.
        sets: the features; loaded in place if there is a saved state.

    Attributes:
        done: images of this rank's share that are in `sets`.
    """

    def __init__(self, cache: StatisticsCache, key: Key | None, sets: list[FeatureSet]) -> None:
        ranks = {"rank": distributed.rank(), "ranks": distributed.world_size()}
        self.cache, self.sets = cache, sets
        self.key: Key | None = None if key is None else {**key, **ranks}
        self.done = 0
        self._saved = time.monotonic()
        arrays = None if self.key is None else cache.load(self.key)
        if arrays is not None:
            self.done = int(arrays["done"])
            for i, features in enumerate(sets):
                state = {name.removeprefix(f"{i}/"): a for name, a in arrays.items() if name.startswith(f"{i}/")}
                features.load_arrays(state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is KeyboardInterrupt:
            self.save()
        elif kind is None:
            self._forget()

    def add(self, count: int) -> None:
        """Counts `count` more images; saves if the last save is more than `SECONDS` ago."""
        self.done += count
        if time.monotonic() - self._saved >= SECONDS:
            self.save()

    def save(self) -> None:
        """Saves the current state now."""
        if self.key is not None:
            arrays = {f"{i}/{name}": a for i, s in enumerate(self.sets) for name, a in s.to_arrays().items()}
            self.cache.store(self.key, {"done": np.asarray(self.done), **arrays})
            self._saved = time.monotonic()

    def _forget(self) -> None:
        path = None if self.key is None else self.cache.path(self.key)
        if path is not None:
            path.unlink(missing_ok=True)
