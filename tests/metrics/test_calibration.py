import pytest
import torch

from stylegen.features.random_vgg16 import RandomVGG16
from stylegen.metrics.cache import StatisticsCache
from stylegen.metrics.calibration import average_2x2, chosen_picture, references
from stylegen.metrics.frechet import Moments, distance
from stylegen.metrics.metric import DEFAULT_OPTIONS, MetricOptions
from stylegen.metrics.reals import Extraction, RealStatistics, halves_of, real_statistics
from stylegen.metrics.registry import METRICS
from tests.metrics.pictures import Reals, Thumbnail, blurred, portraits

NONE = StatisticsCache(None)


def scores_of(
    reals: Reals,
    way: Extraction,
    ids: list[str],
    seed: int = 0,
    options: MetricOptions = DEFAULT_OPTIONS,
    known: RealStatistics | None = None,
) -> dict[str, dict[str, float]]:
    known = known or real_statistics(reals, way, ["features", "moments"], seed, NONE)
    return references(ids, METRICS, reals, way, known, options, seed, NONE)


def test_references_are_in_order() -> None:
    """As on the emoji portraits. Which of the last two is larger hangs on sharpness: these pictures are softened."""
    reals = Reals(blurred(portraits(60), 0.5))
    scores = scores_of(reals, Extraction(RandomVGG16(), batch_size=50), ["fd_random_vgg16"])["fd_random_vgg16"]
    assert 0 < scores["real_vs_real"] < scores["averaged_2x2"] < scores["one_picture_repeated"]


def test_each_reference_by_its_definition() -> None:
    reals = Reals(portraits(30, side=16))
    way = Extraction(Thumbnail(), batch_size=7)
    scores = scores_of(reals, way, ["fd_random_vgg16"], seed=5)["fd_random_vgg16"]

    def score(images: torch.Tensor) -> float:
        these, whole = Moments(16), Moments(16)
        these.update(way.features(images))
        whole.update(way.features(reals.images))
        return distance(these, whole)

    one = reals.images[chosen_picture(30, 5)].expand(30, -1, -1, -1)
    assert scores["one_picture_repeated"] == pytest.approx(score(one), rel=1e-9)
    assert scores["averaged_2x2"] == pytest.approx(score(average_2x2(reals.images)), rel=1e-9)


def test_metrics_that_compare_pairs_have_references_too() -> None:
    reals = Reals(portraits(40, side=16))
    way = Extraction(Thumbnail(), batch_size=7)
    scores = scores_of(reals, way, ["prdc_random_vgg16", "authenticity_random_vgg16", "fd_random_vgg16"])
    assert set(scores) == {
        *(f"prdc_random_vgg16_{name}" for name in ("precision", "recall", "density", "coverage")),
        "authenticity_random_vgg16",
        "fd_random_vgg16",
    }
    assert scores["prdc_random_vgg16_recall"]["one_picture_repeated"] == 0
    assert scores["prdc_random_vgg16_precision"]["one_picture_repeated"] == 1
    assert scores["authenticity_random_vgg16"]["one_picture_repeated"] == 0  # it is a copy
    from stylegen.metrics.density_coverage import density_coverage

    first = halves_of(40, 0)
    features = way.features(reals.images)
    expected = density_coverage(features[first], features[~first], 5)
    assert scores["prdc_random_vgg16_coverage"]["real_vs_real"] == pytest.approx(expected["coverage"])


def test_halves_too_small_for_a_metric_are_left_out() -> None:
    reals = Reals(portraits(30, side=16))
    options = MetricOptions(prdc_neighborhood=20)
    scores = scores_of(reals, Extraction(Thumbnail(), 64), ["prdc_random_vgg16"], options=options)
    assert set(scores["prdc_random_vgg16_recall"]) == {"averaged_2x2", "one_picture_repeated"}


def test_halves_are_disjoint_and_make_the_whole() -> None:
    reals = Reals(portraits(31, side=16))
    way = Extraction(Thumbnail(), batch_size=4)
    statistics = real_statistics(reals, way, ["moments", "features"], 0, StatisticsCache(None))
    assert statistics.halves is not None
    assert sorted(half.count for half in statistics.halves) == [15, 16]
    whole = Moments(16)
    whole.update(way.features(reals.images))
    merged = statistics.feature_set().moments
    assert merged is not None
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.covariance(), whole.covariance())
    torch.testing.assert_close(statistics.feature_set().features, way.features(reals.images))


def test_average_2x2_by_hand() -> None:
    image = torch.tensor([[0, 1, 8, 8], [1, 0, 8, 9], [255, 255, 0, 0], [255, 254, 0, 1]], dtype=torch.uint8)
    expected = torch.tensor([[1, 1, 8, 8], [1, 1, 8, 8], [255, 255, 0, 0], [255, 255, 0, 0]], dtype=torch.uint8)
    assert torch.equal(average_2x2(image[None, None])[0, 0], expected)
