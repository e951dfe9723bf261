"""Running means of losses and logits, kept on the device until a record is written."""

from typing import Any

import torch
from torch import Tensor

from stylegen.distributed import gather_over_ranks, mean_over_ranks, rank, world_size


class Statistics:
    """Running means by name since the last `collect`. `report` does not synchronize with the device.

    Values that are not finite are excluded; the mean of no finite values is NaN.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # [2]: sum and number of the finite values

    def report(self, name: str, value: Tensor) -> None:
        mean = value.detach().float().mean()
        finite = mean.isfinite()
        pair = torch.stack([torch.where(finite, mean, 0), finite.float()])
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def collect(self) -> dict[str, float]:
        """Means over all ranks, in the order of the first reports; resets them. Every rank must call it."""
        names = list(self._sums)
        sums = mean_over_ranks(torch.stack([self._sums[n] for n in names])) if names else torch.zeros(0, 2)
        self._sums = {}
        return dict(zip(names, (sums[:, 0] / sums[:, 1]).tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Sums and numbers [ranks, 2] by name. Every rank must call it."""
        names = list(self._sums)
        if not names:
            return {}
        ranks = gather_over_ranks(torch.stack([self._sums[n] for n in names])[None]).cpu()
        return {name: ranks[:, i].clone() for i, name in enumerate(names)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Each rank continues its own sums; if the number of ranks has changed, all continue the mean."""
        self._sums = {
            name: (pairs[rank()] if len(pairs) == world_size() else pairs.mean(dim=0)).to(device)
            for name, pairs in state.items()
        }
