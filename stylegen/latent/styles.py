"""Operations on styles `ws` [N, L, D] (Karras et al. 2019, arXiv 1812.04948): truncation and style mixing."""

from collections.abc import Sequence

from torch import Tensor


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """w_avg + psi (w - w_avg) in the first `cutoff` layers (appendix B).

    Args:
        ws: [N, L, D].
        w_avg: [D], the running mean of w.
        psi: 1 is the identity, 0 gives the mean image, negative values its opposite.
        cutoff: number of truncated layers; None for all.
    """
    if psi == 1:
        return ws
    ws = ws.clone()
    ws[:, :cutoff] = w_avg.lerp(ws[:, :cutoff], psi)
    return ws


def mix(ws: Tensor, other: Tensor, layers: Sequence[int]) -> Tensor:
    """Replace the styles of `layers` by those of `other` (section 3.1): [N, L, D], [N or 1, L, D] -> [N, L, D]."""
    mixed = ws.clone()
    mixed[:, list(layers)] = other.expand_as(ws)[:, list(layers)]
    return mixed
