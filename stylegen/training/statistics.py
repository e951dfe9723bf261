"""Means of what training reports, kept on the device until somebody asks."""

from typing import Any

import torch
from torch import Tensor

from stylegen.distributed import gather_over_ranks, mean_over_ranks, rank, world_size


class Statistics:
    """Running means by name since the last `collect`; adding a value never waits for the device.

    Values that are not finite are left out of the means; where there were no others, the mean is NaN.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # [2]: sum of the finite values, and their number

    def report(self, name: str, value: Tensor) -> None:
        mean = value.detach().float().mean()
        finite = mean.isfinite()
        pair = torch.stack([torch.where(finite, mean, 0), finite.float()])
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def collect(self) -> dict[str, float]:
        """The means over all ranks, in order of first report; empties the store. Every rank must call it."""
        names = list(self._sums)
        sums = mean_over_ranks(torch.stack([self._sums[n] for n in names])) if names else torch.zeros(0, 2)
        self._sums = {}
        return dict(zip(names, (sums[:, 0] / sums[:, 1]).tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """By name, [ranks, 2]: what each rank has so far. Every rank must call it."""
        names = list(self._sums)
        if not names:
            return {}
        ranks = gather_over_ranks(torch.stack([self._sums[n] for n in names])[None]).cpu()
        return {name: ranks[:, i].clone() for i, name in enumerate(names)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Each rank goes on with its own sums; where there are more or fewer ranks now, all with the mean."""
        self._sums = {
            name: (pairs[rank()] if len(pairs) == world_size() else pairs.mean(dim=0)).to(device)
            for name, pairs in state.items()
        }
