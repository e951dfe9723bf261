import pytest
import torch

from stylegen.features.random_vgg16 import RandomVGG16
from stylegen.metrics.cache import StatisticsCache
from stylegen.metrics.calibration import average_2x2, chosen_picture, references
from stylegen.metrics.frechet import Moments, distance
from stylegen.metrics.reals import Extraction, real_statistics
from tests.metrics.pictures import Reals, Thumbnail, blurred, portraits


def test_references_are_in_order() -> None:
    """As on the emoji portraits. Which of the last two is larger hangs on sharpness: these pictures are softened."""
    reals = Reals(blurred(portraits(120), 0.5))
    way = Extraction(RandomVGG16(), batch_size=50)
    none = StatisticsCache(None)
    scores = references(reals, way, real_statistics(reals, way, ["moments"], 0, none), 0, none)
    assert 0 < scores["real_vs_real"] < scores["averaged_2x2"] < scores["one_picture_repeated"]


def test_each_reference_by_its_definition() -> None:
    reals = Reals(portraits(30, side=16))
    way = Extraction(Thumbnail(), batch_size=7)
    none = StatisticsCache(None)
    statistics = real_statistics(reals, way, ["moments"], 5, none)
    scores = references(reals, way, statistics, 5, none)

    def score(images: torch.Tensor) -> float:
        these, whole = Moments(16), Moments(16)
        these.update(way.features(images))
        whole.update(way.features(reals.images))
        return distance(these, whole)

    one = reals.images[chosen_picture(30, 5)].expand(30, -1, -1, -1)
    assert scores["one_picture_repeated"] == pytest.approx(score(one), rel=1e-9)
    assert scores["averaged_2x2"] == pytest.approx(score(average_2x2(reals.images)), rel=1e-9)


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
