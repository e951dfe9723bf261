"""Identity along a walk: how far images move in the space of a frozen feature extractor.

The change at a strength s is

    mean over seeds of |f(x_s) - f(x_0)|  /  mean over pairs of seeds of |f(x_0) - f(x'_0)|

with f the features: 0 for the same image, 1 for the mean distance between two seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.features import FeatureExtractor
from stylegen.latent.direction_methods import Boundary
from stylegen.latent.directions_file import Directions
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True)
class WalkMeasure:
    """Measures of a direction, one for each strength.

    Attributes:
        change: see above.
        crossed: share of the seeds on the other side of a classifier that cross it: from the negative side for
            positive strengths, and the reverse; None without seeds on that side. Empty without a classifier.
    """

    change: Sequence[float]
    crossed: Sequence[float | None]


def measure_walks(
    directions: Directions,
    sampler: Sampler,
    features: FeatureExtractor,
    seeds: Sequence[int],
    strengths: Sequence[float],
    classifier: Boundary | None = None,
    progress: Callable[[str, float, float, str], None] = lambda *progress: None,
) -> list[WalkMeasure]:
    """Measure each direction on `seeds`, at least two.

    Args:
        sampler: its psi truncates the unmoved w.
        classifier: boundary between features, whose crossings are counted; None counts none.
    """
    seeds = list(seeds)
    ws = sampler.truncated_ws(seeds)
    start = features(sampler.render(ws, seeds, psi=1)).double()
    between = torch.nn.functional.pdist(start).mean().clamp(min=1e-12)
    found = []
    for index in range(len(directions)):
        moved = [features(sampler.render(w, seeds, psi=1)).double() for w in directions.walk(ws, index, strengths)]
        change = [((x - start).norm(dim=1).mean() / between).item() for x in moved]
        crossed = (
            []
            if classifier is None
            else [
                _crossed(classifier(start), classifier(x), strength)
                for x, strength in zip(moved, strengths, strict=True)
            ]
        )
        found.append(WalkMeasure(change, crossed))
        progress("measured directions", index + 1, len(directions), "")
    return found


def _crossed(before: Tensor, after: Tensor, strength: float) -> float | None:
    side = 1.0 if strength > 0 else -1.0
    other = before * side <= 0
    return (after[other] * side > 0).double().mean().item() if other.any() else None
