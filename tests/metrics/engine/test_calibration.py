from pathlib import Path

import numpy as np
import pytest
import torch

from stylegen import randomness
from stylegen.features.random_vgg16 import RandomVGG16
from stylegen.metrics.engine import calibration
from stylegen.metrics.engine.calibration import Calibration, average_2x2
from stylegen.metrics.engine.real_sets import FirstReals
from stylegen.metrics.engine.reals import Extraction, RealImages, RealStatistics, halves_of, real_statistics
from stylegen.metrics.engine.statistics_cache import StatisticsCache
from stylegen.metrics.formulas.frechet import Moments, distance
from stylegen.metrics.protocol.evaluation_settings import DEFAULT_SETTINGS, MetricOptions
from stylegen.metrics.protocol.registry import METRICS
from tests.support.metric_images import Reals, Thumbnail, blurred, portraits

NONE = StatisticsCache(None)
EXTRACTION = Extraction(Thumbnail(), batch_size=64)


def references_of(
    reals: RealImages,
    extraction: Extraction,
    ids: list[str],
    seed: int = 0,
    options: MetricOptions = DEFAULT_SETTINGS,
    known: RealStatistics | None = None,
    num_fakes: int = 100,
) -> dict[str, dict[str, float]]:
    known = known or real_statistics(reals, extraction, ["features", "moments"], seed, NONE)
    made = Calibration(reals, extraction, known, options=options, cache=NONE, seed=seed)
    return made.references([METRICS[i] for i in ids], num_fakes)


def test_references_are_in_order() -> None:
    """The order on the emoji portraits. The last two depend on sharpness, so these images are blurred."""
    reals = Reals(blurred(portraits(60), 0.5))
    values = references_of(reals, Extraction(RandomVGG16(), batch_size=50), ["fd_random_vgg16"])["fd_random_vgg16"]
    assert 0 < values["real_vs_real"] < values["averaged_2x2"] < values["one_image_repeated"]


def test_each_reference_by_its_definition() -> None:
    reals = Reals(portraits(30, side=16))
    extraction = Extraction(Thumbnail(), batch_size=7)
    values = references_of(reals, extraction, ["fd_random_vgg16"], seed=5)["fd_random_vgg16"]

    def metric(images: torch.Tensor) -> float:
        these, whole = Moments(16), Moments(16)
        these.update(extraction.features(images))
        whole.update(extraction.features(reals.images))
        return distance(these, whole)

    every = sorted(metric(image.expand(30, -1, -1, -1)) for image in reals.images)
    assert values["one_image_repeated"] == pytest.approx(every[15], rel=1e-9)  # the median of all, fewer than 49
    assert values["averaged_2x2"] == pytest.approx(metric(average_2x2(reals.images)), rel=1e-9)


def test_cached_references_of_other_names_are_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reals, cache = Reals(portraits(30, side=16)), StatisticsCache(tmp_path)
    known = real_statistics(reals, EXTRACTION, ["moments"], 0, NONE)
    made = Calibration(reals, EXTRACTION, known, options=DEFAULT_SETTINGS, cache=cache)
    old = {name.replace("image", "picture"): text for name, text in calibration.REFERENCES.items()}
    with monkeypatch.context() as earlier:
        earlier.setattr(calibration, "REFERENCES", old)
        metric = METRICS["fd_random_vgg16"]
        cache.store(made._key(metric), {"fd_random_vgg16/one_picture_repeated": np.asarray(1.0)})
    assert "one_picture_repeated" not in made.references([metric], 100)["fd_random_vgg16"]


def gaussian(count: int, purpose: str) -> torch.Tensor:
    """Features [count, 16] with a falling spectrum, like network features."""
    return randomness.normal(0, f"tests/{purpose}", torch.arange(count), (16,)) * torch.linspace(0, 2, 16).exp()


def test_the_perfect_generator_is_what_fresh_samples_measure() -> None:
    """300 reals, 20 perfect generators of 3,000 samples each: the fit is correct, real against real much too high."""
    reals = gaussian(300, "reals")
    halves = halves_of(300, 0)
    moments = [Moments(16), Moments(16)]
    for side, rows in zip(moments, (reals[halves], reals[~halves]), strict=True):
        side.update(rows)
    known = RealStatistics((moments[0], moments[1]), reals)
    values = references_of(Reals(portraits(300, 8)), EXTRACTION, ["fd_random_vgg16"], known=known, num_fakes=3000)
    found = values["fd_random_vgg16"]

    def fresh(index: int) -> float:
        these, others = Moments(16), Moments(16)
        these.update(gaussian(3000, f"fakes{index}"))
        others.update(gaussian(300, f"reals{index}"))
        return distance(these, others)

    truth = torch.tensor([fresh(i) for i in range(20)]).mean().item()
    assert found["perfect_generator"] == pytest.approx(truth, rel=0.25)
    assert found["real_vs_real"] > 2.5 * truth


def test_more_samples_lower_the_perfect_generator_and_few_give_none() -> None:
    reals = Reals(portraits(64, side=16))
    values = [
        references_of(reals, EXTRACTION, ["fd_random_vgg16"], num_fakes=n)["fd_random_vgg16"] for n in (64, 1000, 10**6)
    ]
    perfect = [value["perfect_generator"] for value in values]
    assert perfect[0] > perfect[1] > perfect[2] > 0
    few = references_of(reals, EXTRACTION, ["fd_random_vgg16"], num_fakes=3)["fd_random_vgg16"]
    assert "perfect_generator" not in few


def test_halves_that_share_images_give_no_reference() -> None:
    """20 images repeated to 64: real against real, and the fit to it, would be close to 0."""
    repeated = FirstReals(Reals(portraits(20, side=16)), 64, mirror=False)
    assert set(references_of(repeated, EXTRACTION, ["fd_random_vgg16"])["fd_random_vgg16"]) == {
        *("averaged_2x2", "one_image_repeated"),
    }
    whole = FirstReals(Reals(portraits(64, side=16)), 64, mirror=False)
    assert {"real_vs_real", "perfect_generator"} <= set(
        references_of(whole, EXTRACTION, ["fd_random_vgg16"])["fd_random_vgg16"]
    )


def test_metrics_that_compare_pairs_have_references_too() -> None:
    reals = Reals(portraits(40, side=16))
    extraction = Extraction(Thumbnail(), batch_size=7)
    values = references_of(reals, extraction, ["prdc_random_vgg16", "authenticity_random_vgg16", "fd_random_vgg16"])
    assert set(values) == {
        *(f"prdc_random_vgg16_{name}" for name in ("precision", "recall", "density", "coverage")),
        "authenticity_random_vgg16",
        "fd_random_vgg16",
    }
    assert values["prdc_random_vgg16_recall"]["one_image_repeated"] == 0
    assert values["prdc_random_vgg16_precision"]["one_image_repeated"] == 1
    assert values["authenticity_random_vgg16"]["one_image_repeated"] == 0  # it is a copy
    from stylegen.metrics.formulas.manifold import density_coverage

    first = halves_of(40, 0)
    features = extraction.features(reals.images)
    expected = density_coverage(features[first], features[~first], 5)
    assert values["prdc_random_vgg16_coverage"]["real_vs_real"] == pytest.approx(expected.coverage)


def test_halves_too_small_for_a_metric_are_left_out() -> None:
    reals = Reals(portraits(30, side=16))
    options = MetricOptions(prdc_neighborhood=20)
    values = references_of(reals, Extraction(Thumbnail(), 64), ["prdc_random_vgg16"], options=options)
    assert set(values["prdc_random_vgg16_recall"]) == {"averaged_2x2", "one_image_repeated"}


def test_halves_are_disjoint_and_make_the_whole() -> None:
    reals = Reals(portraits(31, side=16))
    extraction = Extraction(Thumbnail(), batch_size=4)
    statistics = real_statistics(reals, extraction, ["moments", "features"], 0, StatisticsCache(None))
    assert statistics.halves is not None
    assert sorted(half.count for half in statistics.halves) == [15, 16]
    whole = Moments(16)
    whole.update(extraction.features(reals.images))
    merged = statistics.feature_set().moments
    assert merged is not None
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.covariance(), whole.covariance())
    torch.testing.assert_close(statistics.feature_set().features, extraction.features(reals.images))


def test_average_2x2_by_hand() -> None:
    image = torch.tensor([[0, 1, 8, 8], [1, 0, 8, 9], [255, 255, 0, 0], [255, 254, 0, 1]], dtype=torch.uint8)
    expected = torch.tensor([[1, 1, 8, 8], [1, 1, 8, 8], [255, 255, 0, 0], [255, 255, 0, 0]], dtype=torch.uint8)
    assert torch.equal(average_2x2(image[None, None])[0, 0], expected)
