"""KID, IS, precision and recall against slow formulas in float64 that use no code of the library."""

import math

import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.features import torch_fidelity_networks
from stylegen.metrics.formulas.manifold import precision_recall


def features(count: int, dim: int, purpose: str, scale: float = 1.0) -> Tensor:
    return randomness.normal(0, f"tests/{purpose}", torch.arange(count), (dim,)) * scale


def test_kernel_distance_is_the_unbiased_estimate() -> None:
    fakes, reals = features(20, 6, "fakes", 1.3), features(20, 6, "reals")
    a, b = fakes.double().tolist(), reals.double().tolist()

    def kernel(x: list[float], y: list[float]) -> float:
        return (sum(p * q for p, q in zip(x, y, strict=True)) / 6 + 1) ** 3

    within = sum(kernel(s[i], s[j]) for s in (a, b) for i in range(20) for j in range(20) if i != j) / (20 * 19)
    expected = within - 2 * sum(kernel(x, y) for x in a for y in b) / 20**2
    mean, spread = torch_fidelity_networks.kernel_distance(
        fakes, reals, subsets=3, subset_size=20
    )  # every subset is the whole
    assert mean == pytest.approx(expected, rel=1e-12)
    assert spread == pytest.approx(0, abs=1e-12)


def test_kernel_distance_of_one_distribution_is_near_0() -> None:
    mean, spread = torch_fidelity_networks.kernel_distance(
        features(400, 6, "fakes"), features(400, 6, "reals"), 50, 100
    )
    assert abs(mean) < spread


def test_inception_score_in_one_part() -> None:
    logits = features(30, 7, "logits", 2.0)
    rows = [[math.exp(v) for v in row] for row in logits.double().tolist()]
    p = [[v / sum(row) for v in row] for row in rows]
    q = [sum(row[c] for row in p) / 30 for c in range(7)]
    divergences = [sum(v * math.log(v / q[c]) for c, v in enumerate(row)) for row in p]
    assert torch_fidelity_networks.inception_score(logits, 1)[0] == pytest.approx(
        math.exp(sum(divergences) / 30), rel=1e-6
    )


def test_inception_score_at_its_ends() -> None:
    assert torch_fidelity_networks.inception_score(torch.zeros(20, 7), 2) == (pytest.approx(1), pytest.approx(0))
    certain = torch.eye(7).repeat(10, 1) * 100  # every class equally often, each image certain
    assert torch_fidelity_networks.inception_score(certain, 1)[0] == pytest.approx(7)


@pytest.mark.parametrize("neighborhood", [1, 3])
def test_precision_recall_by_the_definition(neighborhood: int) -> None:
    fakes, reals = features(25, 3, "fakes", 0.7), features(30, 3, "reals")

    def covered(points: Tensor, centers: Tensor) -> float:
        hits = 0
        for point in points.double():
            for center in centers.double():
                near = sorted((center - other).norm().item() for other in centers.double())
                if (point - center).norm().item() <= near[neighborhood]:
                    hits += 1
                    break
        return hits / len(points)

    precision, recall = precision_recall(fakes, reals, neighborhood)
    assert precision == pytest.approx(covered(fakes, reals))
    assert recall == pytest.approx(covered(reals, fakes))


def test_a_collapsed_generator_has_high_precision_and_low_recall() -> None:
    reals = features(200, 4, "reals")
    fakes = reals[:1] + features(100, 4, "fakes", 0.01)
    precision, recall = precision_recall(fakes, reals, 3)
    assert precision == 1
    assert recall < 0.1
