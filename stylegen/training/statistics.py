"""Means of what training reports, kept on the device until somebody asks."""

from typing import Any

import torch
from torch import Tensor

from stylegen.training.strategy import mean_over_ranks


class Statistics:
    """Running means by name since the last `collect`; adding a value never waits for the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def report(self, name: str, value: Tensor) -> None:
        mean = value.detach().float().mean()
        self._sums[name] = self._sums[name] + mean if name in self._sums else mean
        self._counts[name] = self._counts.get(name, 0) + 1

    def collect(self) -> dict[str, float]:
        """The means over all ranks, in order of first report; empties the store. Every rank must call it."""
        names = list(self._sums)
        means = [self._sums[n] / self._counts[n] for n in names]
        values = mean_over_ranks(torch.stack(means)).tolist() if means else []
        self._sums, self._counts = {}, {}
        return dict(zip(names, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"sums": {n: v.cpu() for n, v in self._sums.items()}, "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self._sums = {n: v.to(device) for n, v in state["sums"].items()}
        self._counts = dict(state["counts"])
