"""The truncation trick (Karras et al. 2019, arXiv 1812.04948, appendix B)."""

from torch import Tensor


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """w_avg + psi (w - w_avg) in the first `cutoff` layers.

    Args:
        ws: [N, L, D]; w_avg: [D], the running mean of w.
        psi: 1 changes nothing, 0 gives the average picture, negative values its opposite.
        cutoff: layers that are truncated; None for all.
    """
    if psi == 1:
        return ws
    ws = ws.clone()
    ws[:, :cutoff] = w_avg.lerp(ws[:, :cutoff], psi)
    return ws
