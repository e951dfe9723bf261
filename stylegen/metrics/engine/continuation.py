"""A score that was interrupted goes on where it was: what has been gathered of the fakes is kept on disk meanwhile."""

import time
from typing import Self

import numpy as np

from stylegen import distributed
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache
from stylegen.metrics.protocol.metric import FeatureSet

SECONDS = 60.0  # between two savings: what a killed evaluation loses at most


class Continuation:
    """What one process has gathered of its share, under a key that says everything that moves it.

    Args:
        cache: where it is kept.
        key: of the score; None keeps nothing.
        sets: what is being gathered, changed in place when an earlier state is found.

    A context, at whose end nothing need be kept, unless Ctrl-C is that end: then everything is.

    Attributes:
        done: pictures of this process's share that `sets` have seen.
    """

    def __init__(self, cache: StatisticsCache, key: Key | None, sets: list[FeatureSet]) -> None:
        whose = {"rank": distributed.rank(), "ranks": distributed.world_size()}
        self.cache, self.sets = cache, sets
        self.key: Key | None = None if key is None else {**key, **whose}
        self.done = 0
        self._saved = time.monotonic()
        arrays = None if self.key is None else cache.load(self.key)
        if arrays is not None:
            self.done = int(arrays["done"])
            for i, gathered in enumerate(sets):
                own = {name.removeprefix(f"{i}/"): a for name, a in arrays.items() if name.startswith(f"{i}/")}
                gathered.load_arrays(own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is KeyboardInterrupt:
            self.save()
        elif kind is None:
            self._forget()

    def add(self, count: int) -> None:
        """So many pictures more have been seen, or other things; saves now and then."""
        self.done += count
        if time.monotonic() - self._saved >= SECONDS:
            self.save()

    def save(self) -> None:
        """Keep what is known now."""
        if self.key is not None:
            arrays = {f"{i}/{name}": a for i, s in enumerate(self.sets) for name, a in s.to_arrays().items()}
            self.cache.store(self.key, {"done": np.asarray(self.done), **arrays})
            self._saved = time.monotonic()

    def _forget(self) -> None:
        path = None if self.key is None else self.cache.path(self.key)
        if path is not None:
            path.unlink(missing_ok=True)
