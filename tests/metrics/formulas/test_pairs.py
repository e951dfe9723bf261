"""Metrics that compare every pair of images, against independent slow formulas in float64."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.features import torch_fidelity_networks
from stylegen.metrics.formulas.feature_set import FeatureSet
from stylegen.metrics.formulas.frechet import Moments
from stylegen.metrics.formulas.kernel import official_kernel_distance, squared_mmd
from stylegen.metrics.formulas.manifold import authentic_share, density_coverage, precision_recall
from stylegen.metrics.formulas.neighbors import FixedPoint, blocks, fixed_point, nearest, radii
from stylegen.metrics.protocol.evaluation_settings import MetricOptions
from stylegen.metrics.protocol.registry import METRICS, better_direction
from tests.support.metric_images import Thumbnail


def features(count: int, dim: int, purpose: str, scale: float = 1.0) -> Tensor:
    return randomness.normal(0, f"tests/{purpose}", torch.arange(count), (dim,)) * scale


def slow_mmd(x: Tensor, y: Tensor) -> float:
    a, b = x.double().tolist(), y.double().tolist()
    d, m = x.shape[1], len(a)

    def kernel(p: list[float], q: list[float]) -> float:
        return (math.fsum(s * t for s, t in zip(p, q, strict=True)) / d + 1) ** 3

    within = math.fsum(kernel(s[i], s[j]) for s in (a, b) for i in range(m) for j in range(m) if i != j)
    return within / (m * (m - 1)) - 2 * math.fsum(kernel(p, q) for p in a for q in b) / m**2


def test_kernel_distance_to_1e_6() -> None:
    x, y = features(30, 12, "x", 1.2), features(30, 12, "y")
    expected = slow_mmd(x, y)
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-6)
    assert torch_fidelity_networks.kernel_distance(x.double(), y.double(), 2, 30)[0] == pytest.approx(
        expected, rel=1e-6
    )


def test_official_kernel_distance_takes_whole_sets_where_they_are_small() -> None:
    x, y = features(30, 12, "x", 1.2), features(30, 12, "y")
    assert official_kernel_distance(x, y) == pytest.approx(slow_mmd(x, y), rel=1e-6)


def test_equal_sets_have_a_kernel_distance_near_0() -> None:
    x = features(300, 12, "x")
    assert abs(squared_mmd(x, x)) < 0.2 * squared_mmd(x, features(300, 12, "y", 1.5))


@pytest.mark.parametrize("k", [1, 5])
def test_density_and_coverage_by_the_definition(k: int) -> None:
    fakes, reals = features(25, 3, "fakes", 0.8), features(30, 3, "reals")

    def ball(points: Tensor, i: int) -> float:
        others = sorted((points[i] - points[j]).double().norm().item() for j in range(len(points)) if j != i)
        return others[k - 1]

    real_balls, fake_balls = [ball(reals, i) for i in range(30)], [ball(fakes, j) for j in range(25)]
    d = [[(fake - real).double().norm().item() for real in reals] for fake in fakes]
    inside = [[d[j][i] < real_balls[i] for i in range(30)] for j in range(25)]
    expected = {
        "precision": sum(map(any, inside)) / 25,
        "recall": sum(any(d[j][i] < fake_balls[j] for j in range(25)) for i in range(30)) / 30,
        "density": sum(map(sum, inside)) / (k * 25),
        "coverage": sum(any(inside[j][i] for j in range(25)) for i in range(30)) / 30,
    }
    assert density_coverage(fakes, reals, k)._asdict() == pytest.approx(expected, rel=1e-6)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, reals = features(50, 8, "fakes"), features(60, 8, "reals")
    whole = density_coverage(fakes, reals, 3)
    monkeypatch.setattr("stylegen.metrics.formulas.neighbors._BLOCK", 7)
    assert density_coverage(fakes, reals, 3) == whole


def test_a_collapsed_generator_is_precise_and_covers_little() -> None:
    reals = features(200, 4, "reals")
    fakes = reals[:1] + features(100, 4, "fakes", 0.01)
    found = density_coverage(fakes, reals, 5)
    assert found.precision == 1
    assert found.recall < 0.1
    assert found.coverage < 0.1


def test_equal_distributions_have_a_density_about_1() -> None:
    found = density_coverage(features(500, 4, "fakes"), features(500, 4, "reals"), 5)
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage > 0.9


@pytest.mark.parametrize("dim", [5, 64, 1000])
def test_equal_pairs_have_equal_distances(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit at any position, in any block and in either order."""
    monkeypatch.setattr("stylegen.metrics.formulas.neighbors._BLOCK", 37)
    one, other = features(100, dim, "fakes", 3.0), features(90, dim, "reals")
    order, back = torch.randperm(100, generator=torch.Generator().manual_seed(0)), torch.empty(100, dtype=torch.int64)
    back[order] = torch.arange(100)
    a, shuffled, b = fixed_point(one, one[order], other)

    def table(left: FixedPoint, right: FixedPoint) -> Tensor:
        return torch.cat([distances for _, distances in blocks(left, right)])

    expected = torch.cdist(one.double(), other.double()).square()
    torch.testing.assert_close(table(a, b), expected, rtol=1e-12 * dim, atol=0)
    assert torch.equal(table(shuffled, b)[back], table(a, b))
    assert torch.equal(table(b, a).T, table(a, b))
    assert torch.equal(table(a, shuffled)[:, back], table(a, a))
    assert not table(a, a).diagonal().any()


def test_a_large_value_leaves_the_digits_of_small_ones() -> None:
    """For d = 2 the grid's step is 2^-(2 * 26) times the power of 2 above the largest value."""
    values = [[1000.0, 0.0], [0.001, 0.0], [0.001, 0.00003]]
    points = fixed_point(torch.tensor(values, dtype=torch.float64))[0]
    found = next(blocks(points, points))[1]
    assert found[0, 1].item() == pytest.approx(999.999**2, rel=1e-12)
    assert found[1, 2].item() == pytest.approx(0.00003**2, rel=1e-6)


def test_equal_sets_have_a_density_of_exactly_1() -> None:
    reals = features(500, 256, "reals").exp()
    fakes = reals[torch.randperm(500, generator=torch.Generator().manual_seed(0))]
    expected = {"precision": 1, "recall": 1, "density": 1, "coverage": 1}
    assert density_coverage(fakes, reals, 5)._asdict() == expected
    assert precision_recall(fakes, reals, 3) == (1, 1)


def test_one_image_repeated_recalls_itself() -> None:
    """Its balls are points; the border is inside for `prc` and outside for `prdc`."""
    reals = features(60, 256, "reals").exp()
    repeated = reals[17:18].expand(40, -1)
    assert precision_recall(repeated, reals, 3) == (1, 1 / 60)
    found = density_coverage(repeated, reals, 5)
    assert (found.precision, found.recall) == (1, 0)


def test_nearest_and_radii_by_hand() -> None:
    (points,) = fixed_point(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    assert radii(points, 1).tolist() == [1, 1, 4, 16]
    assert radii(points, 2).tolist() == [9, 4, 9, 36]
    queries, references = fixed_point(torch.tensor([[2.9], [100.0]]), points.features)
    distances, rows = nearest(queries, references, 2)
    assert rows.tolist() == [[2, 1], [3, 2]]
    assert distances[0].tolist() == pytest.approx([0.01, 3.61], rel=1e-5)


def test_authenticity() -> None:
    reals = features(100, 4, "reals")
    assert authentic_share(reals + 1e-4, reals) == 0  # copies
    assert authentic_share(features(100, 4, "others"), reals) == pytest.approx(0.5, abs=0.15)
    assert authentic_share(features(100, 4, "far") + 50, reals) == 1
    assert better_direction("authenticity_random_vgg16") is None  # an untrained network has 1


def test_copies_within_the_dataset_do_not_hide_a_copy_by_the_generator() -> None:
    """Against the definition: a real's ball extends to the nearest distinct real image."""
    distinct = features(60, 4, "reals")
    twins = distinct[:20] * (1 + 1e-7 * features(20, 1, "rounding"))  # one image through the network, twice
    reals = torch.cat([distinct, twins])
    fakes = torch.cat([distinct[:20] + 0.01 * features(20, 4, "noise"), features(40, 4, "others")])
    shares = []
    for fake in fakes.double():
        away = (reals.double() - fake).norm(dim=1)
        others = (reals.double() - reals[away.argmin()].double()).norm(dim=1)
        shares.append(float(away.min() > others[others > 1e-3].min()))
    assert sum(shares[:20]) == 0
    assert authentic_share(fakes, reals) == np.mean(shares)
    assert (
        authentic_share(features(5, 4, "far"), reals[:1].expand(3, -1)) == 0
    )  # a single distinct real has no distinct neighbor


def test_a_row_of_the_figure_is_a_sample_and_its_nearest_reals() -> None:
    from stylegen.metrics.engine.job import neighbor_figure
    from stylegen.metrics.engine.reals import Extraction
    from tests.support.metric_images import Reals, portraits

    images = portraits(20, side=16)
    extraction = Extraction(Thumbnail(), 8)
    figure = neighbor_figure(images[3:5], Reals(images), extraction, extraction.features(images), k=2)
    assert figure.shape == (3, 2 * 18 - 2, 3 * 18 - 2)
    for row, number in enumerate((3, 4)):
        for column in (0, 1):  # the sample is one of the reals
            cell = figure[:, row * 18 : row * 18 + 16, column * 18 : column * 18 + 16]
            assert torch.equal(cell, images[number])


@pytest.mark.parametrize(("metric_id", "ddof"), [("fid", 1), ("fid50k_full", 0)])
def test_covariances_are_divided_as_the_name_states(metric_id: str, ddof: int) -> None:
    fakes, reals = features(20, 3, "fakes", 1.5), features(30, 3, "reals")
    sets = []
    for side in (fakes, reals):
        moments = Moments(3)
        moments.update(side)
        sets.append(FeatureSet.of(moments, None))
    found = METRICS[metric_id].compute(*sets, Thumbnail(), MetricOptions())[metric_id]
    a, b = (np.cov(side.double().numpy(), rowvar=False, ddof=ddof) for side in (fakes, reals))
    shift = (fakes.double().mean(0) - reals.double().mean(0)).numpy()
    root = scipy.linalg.sqrtm(a @ b).real
    assert found == pytest.approx(shift @ shift + np.trace(a + b - 2 * root), rel=1e-6)


def test_official_precision_and_recall_round_features_to_float16() -> None:
    fakes, reals = features(40, 4, "fakes", 0.8), features(50, 4, "reals")
    sets = [FeatureSet.of(None, side) for side in (fakes, reals)]
    found = METRICS["pr50k3_full"].compute(*sets, Thumbnail(), MetricOptions())
    a, b = (side.half().double() for side in (fakes, reals))

    def covered(points: Tensor, centers: Tensor) -> float:
        radius = [sorted((c - other).norm().item() for other in centers)[3] for c in centers]
        hits = [any((p - c).norm().item() <= r for c, r in zip(centers, radius, strict=True)) for p in points]
        return sum(hits) / len(hits)

    expected = {"pr50k3_full_precision": covered(a, b), "pr50k3_full_recall": covered(b, a)}
    assert found == pytest.approx(expected, rel=1e-6)
