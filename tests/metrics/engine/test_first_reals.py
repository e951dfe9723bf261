"""`fid50k`, `kid50k`, `pr50k3` and `is50k` against slow formulas in float64 that use no code of stylegen."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen import features
from stylegen.errors import UserError
from stylegen.features import torch_fidelity_networks
from stylegen.metrics.engine.real_sets import ClassReals, FirstReals, mirrors
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.registry import METRICS
from tests.support.metric_images import Reals, Thumbnail, evaluation_of, noisy, portraits

FAKES, FIRST = 40, 30
IDS = ["fid50k", "kid50k", "pr50k3", "is50k"]


@dataclass
class Mirrored(Reals):
    """Reals of a training that mirrored its images."""

    mirror: bool = True


class SmallInception(Thumbnail, torch_fidelity_networks.Inception):
    """A thumbnail, and logits that differ between images."""

    name = "inception"

    def logits(self, features: Tensor) -> Tensor:
        return features @ torch.linspace(-0.05, 0.05, 16 * 7).reshape(16, 7)


class SmallVGG16(Thumbnail):
    name = "nvidia_vgg16"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The four metrics with fewer images and cheap extractors."""
    for metric_id in IDS:
        first = FIRST if METRICS[metric_id].first_reals else None
        monkeypatch.setitem(METRICS, metric_id, replace(METRICS[metric_id], exact_fakes=FAKES, first_reals=first))
    monkeypatch.setitem(features.EXTRACTORS, "inception", lambda weights, device: SmallInception())
    monkeypatch.setitem(features.EXTRACTORS, "nvidia_vgg16", lambda weights, device: SmallVGG16())
    monkeypatch.setattr("stylegen.metrics.engine.requirements.require_all_weights", lambda *arguments, **options: None)


@pytest.fixture
def fakes() -> Tensor:
    return noisy(portraits(FAKES, side=16, first=100), 20)


def measured(fakes: Tensor, reals: Reals, ids: list[str] = IDS) -> MetricCard:
    return evaluation_of(ids, FAKES, reals, cache=False, calibrate=False, batch_size=7).measure(fakes.split(9))


def slow_reals(reals: Reals) -> Tensor:
    """The published rule: the first images in the dataset's order, repeated from its start if there are fewer."""
    return torch.stack([reals.images[i % len(reals.images)] for i in range(FIRST)])


def thumbnails(images: Tensor) -> np.ndarray:
    return Thumbnail()(images).double().numpy()


def test_the_published_counts() -> None:
    assert features.EXTRACTORS["inception"] is not torch_fidelity_networks.Inception  # the fixture's
    from stylegen.metrics.protocol import registry

    assert (registry.OFFICIAL_FAKES, registry.FIRST_REALS) == (50_000, 50_000)


@pytest.mark.parametrize("count", [50, 12])
def test_fid50k(fakes: Tensor, count: int) -> None:
    """Covariances are divided by N - 1; 12 reals are counted twice, as in TensorFlow's repeated dataset."""
    reals = Reals(portraits(count, side=16))
    a, b = thumbnails(fakes), thumbnails(slow_reals(reals))
    shift, (s, t) = a.mean(0) - b.mean(0), (np.cov(side, rowvar=False) for side in (a, b))
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ t @ root).clip(0)).sum()  # Tr (s t)^(1/2)
    expected = shift @ shift + np.trace(s + t) - 2 * cross
    card = measured(fakes, reals, ["fid50k"])
    assert card.metrics["fid50k"] == pytest.approx(expected, rel=1e-5)
    assert card.covariance == "divided by N - 1: fid50k"


def test_kid50k(fakes: Tensor) -> None:
    """With 30 fakes and 30 reals each of the 100 subsets is the whole set."""
    reals = Reals(portraits(50, side=16))
    x, y = thumbnails(fakes[:FIRST]), thumbnails(slow_reals(reals))

    def kernel(p: np.ndarray, q: np.ndarray) -> float:
        return float((p @ q / 16 + 1) ** 3)

    pairs = [(i, j) for i in range(FIRST) for j in range(FIRST) if i != j]
    within = sum(kernel(s[i], s[j]) for s in (x, y) for i, j in pairs) / (FIRST * (FIRST - 1))
    expected = within - 2 * sum(kernel(p, q) for p in x for q in y) / FIRST**2
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, "kid50k", replace(METRICS["kid50k"], exact_fakes=FIRST))
        card = evaluation_of(["kid50k"], FIRST, reals, cache=False, calibrate=False).measure([fakes[:FIRST]])
    assert card.metrics["kid50k"] == pytest.approx(expected, rel=1e-9)


def test_pr50k3(fakes: Tensor) -> None:
    reals = Reals(portraits(50, side=16))
    a, b = (thumbnails(side).astype(np.float16).astype(np.float64) for side in (fakes, slow_reals(reals)))

    def covered(points: np.ndarray, centers: np.ndarray) -> float:
        radius = [sorted(np.linalg.norm(c - other) for other in centers)[3] for c in centers]
        hits = [any(np.linalg.norm(p - c) <= r for c, r in zip(centers, radius, strict=True)) for p in points]
        return sum(hits) / len(hits)

    assert measured(fakes, reals, ["pr50k3"]).metrics == pytest.approx(
        {"pr50k3_precision": covered(a, b), "pr50k3_recall": covered(b, a)}, rel=2**-23
    )


def test_is50k(fakes: Tensor) -> None:
    """Ten parts in order of generation, not shuffled; the deviation is divided by 10, the number of parts."""
    logits = SmallInception().logits(Thumbnail()(fakes)).double().numpy()
    values = []
    for part in range(10):
        rows = np.exp(logits[part * FAKES // 10 : (part + 1) * FAKES // 10])
        p = rows / rows.sum(1, keepdims=True)
        values.append(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))
    found = measured(fakes, Reals(portraits(50, side=16)), ["is50k"]).metrics
    assert found == pytest.approx({"is50k_mean": np.mean(values), "is50k_std": np.std(values)}, rel=1e-6)


def test_reals_are_mirrored_where_the_training_mirrored() -> None:
    """Each real is flipped independently, also when it counts a second time; the same at any batch size."""
    plain, reals = Reals(portraits(40, side=16)), Mirrored(portraits(40, side=16))
    first = FirstReals(reals, 100, mirrors(reals))
    images = first.batch(torch.arange(100))[0]
    assert torch.equal(torch.cat([first.batch(torch.tensor([i]))[0] for i in range(100)]), images)
    flipped = []
    for i, image in enumerate(images):
        original = reals.images[i % 40]
        assert torch.equal(image, original) or torch.equal(image, original.flip(-1))
        flipped.append(torch.equal(image, original.flip(-1)))
    assert 30 <= sum(flipped) <= 70  # four standard deviations of a fair coin
    assert flipped[:40] != flipped[40:80]
    unmirrored = FirstReals(plain, 100, mirrors(plain))
    assert torch.equal(unmirrored.batch(torch.arange(40))[0], plain.images)
    assert unmirrored.fingerprint != first.fingerprint
    assert mirrors(ClassReals(reals, torch.ones(40, 1), 0, "all"))


def test_the_card_records_which_reals_count(fakes: Tensor) -> None:
    """One pass through the network is enough for `fid` and `fid50k`, each with its own reals."""
    reals = Mirrored(portraits(50, side=16))
    card = measured(fakes, reals, ["fid", "fid50k"])
    assert card.reals == (
        "all images of the dataset, unmirrored; fid50k: the first 30 images in the dataset's order, each mirrored with "
        "probability 1/2 (keyed, seed 0)"
    )
    alone = {name: measured(fakes, reals, [name]).metrics[name] for name in ("fid", "fid50k")}
    assert card.metrics == alone
    small = measured(fakes, Reals(portraits(12, side=16)), ["fid50k"])
    assert small.reals.endswith("in the dataset's order, from the start again at its end, unmirrored")


def test_the_metric_decides_what_is_mirrored() -> None:
    reals = Reals(portraits(50, side=16))
    with pytest.raises(UserError, match=r"evaluation\.mirror_reals=true for fid50k"):
        evaluation_of(["fid50k"], FAKES, reals, mirror_reals=True).check(open_weights=False)
