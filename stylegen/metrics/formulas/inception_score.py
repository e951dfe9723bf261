"""IS: the inception score (Salimans et al. 2016, arXiv 1606.03498, section 4). It never looks at real pictures."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from stylegen.features import FeatureExtractor, torch_fidelity_networks
from stylegen.metrics.protocol.metric import FeatureSet, MetricOptions

OFFICIAL_SPLITS = 10
MIN_PER_SPLIT = 50
"""Images in each part. The score of few is low whatever they show: it is at most their number."""


def isc(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """exp(E KL(p(y|x) || p(y))) by Inception's 1008 logits without bias: mean and deviation over the splits."""
    assert isinstance(extractor, torch_fidelity_networks.Inception)
    mean, spread = torch_fidelity_networks.inception_score(extractor.logits(fakes.features).cpu(), options.isc_splits)
    return {"isc": mean, "isc_std": spread}


def is50k(
    fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
) -> dict[str, float]:
    """StyleGAN2's and StyleGAN2-ADA's number: 10 parts in the order of generation, where `isc` shuffles."""
    assert isinstance(extractor, torch_fidelity_networks.Inception)
    scores = split_scores(extractor.logits(fakes.features).cpu(), OFFICIAL_SPLITS)
    return {"is50k_mean": float(scores.mean()), "is50k_std": float(scores.std(correction=0))}


def split_scores(logits: Tensor, splits: int) -> Tensor:
    """exp(E_x KL(p(y|x) || p(y))) of each part, in float64: [N, classes] -> [splits].

    Part i holds rows i N // splits to (i + 1) N // splits.
    """
    log_p = logits.double().log_softmax(dim=1)
    bounds = [i * len(log_p) // splits for i in range(splits + 1)]
    parts = [log_p[first:last] for first, last in pairwise(bounds)]
    return torch.stack([(p.exp() * (p - p.logsumexp(dim=0) + math.log(len(p)))).sum(1).mean().exp() for p in parts])
