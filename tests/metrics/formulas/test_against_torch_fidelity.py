"""`fid`, `kid`, `isc`, `precision` and `recall` equal the results of torch-fidelity's own loop on the same images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegen import randomness
from stylegen.metrics.formulas.frechet import Moments, distance
from tests.support.metric_images import Reals, evaluation_of, noisy, portraits
from tests.support.random_networks import SmallVGG16, seeded_state, write_inception

UNPUBLISHED = "_unpublished-weights"  # random weights, marked in every metric's name
EIGENVALUES, EIGENVECTORS = np.linalg.eigvals, torch.linalg.eigh


class Images(Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def theirs(fakes: Tensor, reals: Tensor, weights: Path, **options: Any) -> dict[str, float]:
    import torch_fidelity

    return torch_fidelity.calculate_metrics(
        input1=Images(fakes),
        input2=Images(reals),
        feature_extractor_weights_path=str(weights),
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        batch_size=8,
        **options,
    )


def eigenvalues_of_low_rank(matrix: np.ndarray) -> np.ndarray:
    """The non-zero eigenvalues, from the matrix restricted to its range: a few instead of 2048."""
    basis, _ = np.linalg.qr(matrix @ np.random.default_rng(0).normal(size=(len(matrix), 32)))
    return EIGENVALUES(basis.T @ matrix @ basis)


def eigenvectors_of_low_rank(matrix: Tensor) -> tuple[Tensor, Tensor]:
    basis, _ = torch.linalg.qr(matrix @ torch.from_numpy(np.random.default_rng(0).normal(size=(len(matrix), 32))))
    values, vectors = EIGENVECTORS(basis.T @ matrix @ basis)
    return values, basis @ vectors


def compute_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """KID in float64: in float32, which the library keeps, the sums of the estimate cancel to a few digits."""
    import torch_fidelity.metric_kid as library

    kernel = library.kernel_poly

    def in_float64(a: np.ndarray, b: np.ndarray, **options: Any) -> np.ndarray:
        return kernel(a.astype(np.float64), b.astype(np.float64), **options)

    monkeypatch.setattr(library, "kernel_poly", in_float64)


def test_frechet_distance_is_its_formula() -> None:
    import torch_fidelity.metric_fid as library

    sides = [randomness.normal(0, f"tests/{i}", torch.arange(100), (40,)) * (1 + i) for i in range(2)]
    other = library.fid_statistics_to_metric(*map(library.fid_features_to_statistics, sides), verbose=False)
    moments = Moments(40), Moments(40)
    for side, features in zip(moments, sides, strict=True):
        side.update(features)
    assert distance(*moments) == pytest.approx(other["frechet_inception_distance"], rel=1e-6)


def test_inceptions_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy.linalg.eigvals", eigenvalues_of_low_rank)  # the full matrix takes half a minute
    monkeypatch.setattr("torch.linalg.eigh", eigenvectors_of_low_rank)
    compute_in_float64(monkeypatch)
    monkeypatch.setattr("stylegen.metrics.protocol.registry.MIN_PER_SPLIT", 1)  # more images would take minutes
    weights = write_inception(tmp_path / "inception.pth")
    reals, fakes = portraits(8), noisy(portraits(7, first=50), 60)
    card = evaluation_of(
        ["isc", "fid", "kid"],
        7,
        Reals(reals),
        weights=str(weights),
        batch_size=8,
        kid_subsets=5,
        kid_subset_size=6,
        isc_splits=2,
        calibrate=False,
        cache=False,
    ).measure([fakes])
    assert all(name.endswith(UNPUBLISHED) for name in card.metrics)
    ours = {name.removesuffix(UNPUBLISHED): value for name, value in card.metrics.items()}
    other = theirs(fakes, reals, weights, fid=True, kid=True, isc=True, kid_subsets=5, kid_subset_size=6, isc_splits=2)
    assert list(ours) == ["isc", "isc_std", "fid", "kid", "kid_std"]
    assert ours["isc"] > 1.001
    theirs_by_id = {
        "isc": other["inception_score_mean"],
        "isc_std": other["inception_score_std"],
        "kid": other["kernel_inception_distance_mean"],
        "kid_std": other["kernel_inception_distance_std"],
    }
    assert {key: ours[key] for key in theirs_by_id} == pytest.approx(theirs_by_id, rel=1e-9)  # from the same features
    # The library adds the roots of eigenvalues that are 0 up to 2^-52 of the largest, each 2^-26 of its root.
    assert ours["fid"] == pytest.approx(other["frechet_inception_distance"], rel=1e-5)


def test_precision_and_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.vgg16", SmallVGG16)
    torch.save(seeded_state(SmallVGG16()), tmp_path / "vgg.pth")
    reals = portraits(60)
    fakes = noisy(portraits(100, first=60)[torch.arange(100) % 10 < 5], 30)  # half of the modes
    card = evaluation_of(["prc"], 50, Reals(reals), weights=str(tmp_path / "vgg.pth"), cache=False).measure([fakes])
    other = theirs(fakes, reals, tmp_path / "vgg.pth", prc=True)
    assert 0 < other["precision"] < 1
    assert 0 < other["recall"] < 1
    assert card.metrics == pytest.approx({f"{key}{UNPUBLISHED}": other[key] for key in ("precision", "recall")})
    repeated = card.references[f"recall{UNPUBLISHED}"]["one_image_repeated"]
    assert repeated == pytest.approx(1 / 60)  # only itself
    assert set(card.references) == set(card.metrics)
