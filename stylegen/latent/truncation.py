"""Truncation of styles, toward the mean of all w or the mean w of a class."""

import torch
from torch import Tensor

from stylegen.latent.seeds import latents
from stylegen.networks import StyleGenerator
from stylegen.one_hot import OneHot

_PER_CLASS = 1000  # samples of a class's mean
_BATCH = 10_000


def truncate(ws: Tensor, center: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """center + psi (w - center) in the first `cutoff` layers (Karras et al. 2019, arXiv 1812.04948, appendix B).

    Args:
        ws: [N, L, D].
        center: [D], the running mean of w; or [N, 1, D], one for each image.
        psi: 1 is the identity, 0 gives the mean image, negative values its opposite.
        cutoff: number of truncated layers; None for all.
    """
    if psi == 1:
        return ws
    ws = ws.clone()
    ws[:, :cutoff] = center.lerp(ws[:, :cutoff], psi)
    return ws


@torch.no_grad()
def class_centers(generator: StyleGenerator, classes: Tensor, count: int = _PER_CLASS) -> Tensor:
    """Mean w of each class [K, D], over the seeds 0 to count - 1.

    Truncation toward it preserves the class; the mean of all w may resemble no class.

    Args:
        classes: int64 [K], indices.
    """
    weight = next(generator.parameters())
    seeds, table = list(range(count)), OneHot.identity(generator.num_classes)
    z = latents(seeds, generator.z_dim, weight.device).to(weight.dtype)
    means = []
    for number in classes.tolist():
        c = table[torch.tensor([number])].to(z).expand(count, -1)
        means.append(
            torch.cat([generator.mapping(*part) for part in zip(z.split(_BATCH), c.split(_BATCH), strict=True)]).mean(0)
        )
    return torch.stack(means)


def label_centers(labels: Tensor, centers: Tensor, w_avg: Tensor) -> Tensor:
    """Centers of label vectors: [N, 1, D], the weighted mean of their classes' centers, w_avg for a vector of zeros.

    Args:
        labels: [N, num_classes]; negative entries count as zero.
        centers: [num_classes, D]. w_avg: [D].
    """
    weights = labels.clamp(min=0).to(centers)
    total = weights.sum(dim=1, keepdim=True)
    mean = weights @ centers / total.clamp(min=torch.finfo(centers.dtype).tiny)
    return torch.where(total > 0, mean, w_avg).unsqueeze(1)
