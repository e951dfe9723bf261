"""Inception score (Salimans et al. 2016, arXiv 1606.03498, section 4), from the logits of the generated images."""

import math
from itertools import pairwise

import torch
from torch import Tensor

OFFICIAL_SPLITS = 10


def official_inception_score(logits: Tensor) -> tuple[float, float]:
    """Mean and deviation over 10 splits in the order of generation, as StyleGAN2 and StyleGAN2-ADA report it.

    torch-fidelity's `inception_score` shuffles the images first.
    """
    scores = split_scores(logits, OFFICIAL_SPLITS)
    return float(scores.mean()), float(scores.std(correction=0))


def split_scores(logits: Tensor, splits: int) -> Tensor:
    """exp(E_x KL(p(y|x) || p(y))) of each split, in float64: [N, classes] -> [splits].

    Split i holds rows i N // splits to (i + 1) N // splits.
    """
    log_p = logits.double().log_softmax(dim=1)
    bounds = [i * len(log_p) // splits for i in range(splits + 1)]
    parts = [log_p[first:last] for first, last in pairwise(bounds)]
    return torch.stack([(p.exp() * (p - p.logsumexp(dim=0) + math.log(len(p)))).sum(1).mean().exp() for p in parts])
