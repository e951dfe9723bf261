"""Style mixing (Karras et al. 2019, arXiv 1812.04948, section 3.1 and figure 3)."""

from collections.abc import Sequence

from torch import Tensor


def mix(ws: Tensor, other: Tensor, layers: Sequence[int]) -> Tensor:
    """`ws` with the styles of `layers` taken from `other`: [N, L, D], [N or 1, L, D] -> [N, L, D]."""
    mixed = ws.clone()
    mixed[:, list(layers)] = other.expand_as(ws)[:, list(layers)]
    return mixed
