"""Means of what training reports, kept on the device until somebody asks."""

import torch
from torch import Tensor


class Statistics:
    """Running means by name since the last `collect`; adding a value never waits for the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def report(self, name: str, value: Tensor) -> None:
        mean = value.detach().mean().double() if value.device.type != "mps" else value.detach().mean()
        self._sums[name] = self._sums[name] + mean if name in self._sums else mean
        self._counts[name] = self._counts.get(name, 0) + 1

    def collect(self) -> dict[str, float]:
        """The means, in order of first report; empties the store."""
        names = list(self._sums)
        values = torch.stack([self._sums[n] / self._counts[n] for n in names]).tolist() if names else []
        self._sums, self._counts = {}, {}
        return dict(zip(names, values, strict=True))
