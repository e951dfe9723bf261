from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegen.errors import UserError
from stylegen.metrics.engine.statistics_file import read_statistics, write_statistics
from stylegen.metrics.formulas.frechet import Moments
from stylegen.spec import ImageSpec
from tests.support.metric_images import Reals, Thumbnail, evaluation_of, noisy, portraits

SPEC = ImageSpec(16)
MADE = {"extractor": "random_vgg16", "weights_id": "thumbnail", "dataset": "procedural", "resolution": 16}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    moments = Moments(16)
    moments.update(Thumbnail()(portraits(40, side=16)))
    write_statistics(tmp_path / "stats.npz", moments, MADE)
    return tmp_path / "stats.npz"


def test_layout_of_the_file(file: Path) -> None:
    with np.load(file) as arrays:
        assert sorted(arrays.files) == ["mu", "sigma", "stylegen"]
        features = Thumbnail()(portraits(40, side=16)).double().numpy()
        np.testing.assert_allclose(arrays["mu"], features.mean(0), rtol=1e-12)
        np.testing.assert_allclose(arrays["sigma"], np.cov(features, rowvar=False), rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("thumbnail")
def test_a_metric_against_the_file_equals_the_one_against_the_images(file: Path) -> None:
    fakes = noisy(portraits(30, side=16, first=100), 20)
    own = evaluation_of(["fd_random_vgg16"], 30, Reals(portraits(40, side=16)), cache=False).measure([fakes])
    published = read_statistics(file, SPEC)
    card = evaluation_of(["fd_random_vgg16"], 30, published, cache=False).measure([fakes])
    assert card.metrics["fd_random_vgg16"] == pytest.approx(own.metrics["fd_random_vgg16"], rel=1e-9)
    assert card.references == card.calibration == {}
    assert card.dataset["name"] == "stats.npz"
    assert str(card.dataset["fingerprint"]).startswith("sha256:")
    assert card.reals == "statistics of all 40 images of procedural, made by stylegen"
    assert card.num_reals == 40


@pytest.mark.usefixtures("thumbnail")
def test_metrics_that_need_more(file: Path) -> None:
    published = read_statistics(file, SPEC)
    for metric_id in ("prdc_random_vgg16", "fid50k_full"):
        with pytest.raises(UserError, match=f"{metric_id} needs more"):
            evaluation_of([metric_id], 50_000, published).measure([])
    wide = replace(published, mean=torch.zeros(5))
    with pytest.raises(UserError, match="describes 5 features, and random_vgg16 has 16"):
        evaluation_of(["fd_random_vgg16"], 30, wide).measure([])


@pytest.mark.usefixtures("thumbnail")
def test_a_number_against_a_file_of_others_is_marked(tmp_path: Path) -> None:
    """pytorch-fid's files have the same layout, but FID against them is up to 18 % higher."""
    features = Thumbnail()(portraits(40, side=16)).double().numpy()
    np.savez(tmp_path / "a.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    fakes = noisy(portraits(30, side=16, first=100), 20)
    card = evaluation_of(["fd_random_vgg16"], 30, read_statistics(tmp_path / "a.npz", SPEC), cache=False).measure(
        [fakes]
    )
    assert list(card.metrics) == ["fd_random_vgg16_foreign-statistics"]
    assert "without a record of their origin" in card.reals


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"extractor": "inception"}, "features of inception, not of random_vgg16"),
        ({"weights_id": "others"}, "other weights of random_vgg16"),
        ({"protocol_version": 1}, "it follows protocol 1"),
        ({"resolution": 32}, "resolution 32, the evaluated ones 16"),
        ({"num_images": "many"}, "record is damaged"),
    ],
)
def test_statistics_of_something_else(tmp_path: Path, made: dict[str, object], message: str) -> None:
    moments = Moments(16)
    moments.update(Thumbnail()(portraits(40, side=16)))
    write_statistics(tmp_path / "stats.npz", moments, {**MADE, **made})
    with pytest.raises(UserError, match=message):
        evaluation_of(["fd_random_vgg16"], 30, read_statistics(tmp_path / "stats.npz", SPEC), cache=False).measure([])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "no mu and sigma"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, "not the mean and covariance"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "not finite"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 2.0], [0.0, 1.0]])}, "not symmetric"),
        ({"mu": np.array([{}], dtype=object), "sigma": np.eye(1)}, "no mu and sigma"),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        read_statistics(tmp_path / "a.npz", SPEC)
    (tmp_path / "b.npz").write_text("no zip")
    with pytest.raises(UserError, match="no mu and sigma"):
        read_statistics(tmp_path / "b.npz", SPEC)
    with pytest.raises(UserError, match="no such file"):
        read_statistics(tmp_path / "c.npz", SPEC)
