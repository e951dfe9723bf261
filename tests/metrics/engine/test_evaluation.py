import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen import features
from stylegen.errors import UserError
from stylegen.metrics.protocol.evaluation_settings import MetricOptions, Protocol
from stylegen.metrics.protocol.registry import METRICS, better_direction, without_weights
from tests.support.metric_images import Reals, Thumbnail, evaluation_of, noisy, portraits

FD = ["fd_random_vgg16"]


@pytest.fixture
def reals() -> Reals:
    return Reals(portraits(40, side=16))


@pytest.fixture
def fakes() -> Tensor:
    return noisy(portraits(30, side=16, first=100), 20)


@pytest.mark.usefixtures("thumbnail")
def test_batches_do_not_change_the_number(reals: Reals, fakes: Tensor) -> None:
    values = [
        evaluation_of(FD, 30, reals, batch_size=taken, cache=False).measure(fakes.split(generated)).metrics[FD[0]]
        for generated, taken in ((30, 64), (1, 1), (7, 3), (10, 64))
    ]
    assert values[1:] == pytest.approx(values[:1] * 3, rel=1e-9)


@pytest.mark.usefixtures("thumbnail")
def test_exactly_num_fakes_images_are_used_and_no_more_generated(reals: Reals, fakes: Tensor) -> None:
    sizes = []

    def generate() -> Iterator[Tensor]:
        for batch in fakes.split(8):
            sizes.append(len(batch))
            yield batch

    value = evaluation_of(FD, 20, reals).measure(generate).metrics[FD[0]]
    assert sizes == [8, 8, 8]
    assert value == pytest.approx(evaluation_of(FD, 20, reals).measure([fakes[:20]]).metrics[FD[0]], rel=1e-9)


@pytest.mark.usefixtures("thumbnail")
def test_reals_are_read_once(reals: Reals, fakes: Tensor, tmp_path: Path) -> None:
    first = evaluation_of(FD, 30, reals, cache_dir=str(tmp_path)).measure([fakes])
    assert reals.images_read == 40 + 40  # for statistics, and for the averaged reals
    assert evaluation_of(FD, 30, reals, cache_dir=str(tmp_path)).measure([fakes]) == first
    assert reals.images_read == 80
    evaluation_of(FD, 30, reals, cache=False).measure([fakes])
    assert reals.images_read == 160


@pytest.mark.parametrize("changed", ["pixel", "weights", "protocol"])
def test_a_stale_cache_is_impossible(
    reals: Reals, fakes: Tensor, tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Thumbnail())
    evaluation_of(FD, 30, reals, cache_dir=str(tmp_path), calibrate=False).measure([fakes])
    assert reals.images_read == 40
    if changed == "pixel":
        reals.images[3, 0, 0, 0] ^= 1
    elif changed == "weights":
        monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Thumbnail("other"))
    else:
        monkeypatch.setattr("stylegen.metrics.engine.reals.PROTOCOL_VERSION", 10**6)
    evaluation_of(FD, 30, reals, cache_dir=str(tmp_path), calibrate=False).measure([fakes])
    assert reals.images_read == 80


@pytest.mark.usefixtures("thumbnail")
def test_a_damaged_cache_is_computed_anew(reals: Reals, fakes: Tensor, tmp_path: Path) -> None:
    first = evaluation_of(FD, 30, reals, cache_dir=str(tmp_path)).measure([fakes])
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert evaluation_of(FD, 30, reals, cache_dir=str(tmp_path)).measure([fakes]) == first


@pytest.mark.usefixtures("thumbnail")
def test_the_card_records_every_choice(reals: Reals, fakes: Tensor) -> None:
    reports: list[tuple[str, int, int]] = []
    card = evaluation_of(FD, 30, reals, progress=lambda *report: reports.append(report), cache=False).measure(
        [fakes], sampling={"psi": 1.0}
    )
    values = json.loads(card.to_json())
    assert values["better"] == {"fd_random_vgg16": "lower"}
    assert (values["num_samples"], values["num_reals"], values["seed"]) == (30, 40, 0)
    assert values["dataset"] == {
        "name": "procedural", "fingerprint": reals.fingerprint, "resolution": 16, "channels": 3, "num_classes": 0,
    }  # fmt: skip
    assert values["extractors"] == {"random_vgg16": {"weights_id": "thumbnail", "network": "thumbnail"}}
    assert values["sampling"] == {"quantization": "floor(127.5 x + 128) clamped to [0, 255]", "psi": 1.0}
    assert set(values["references"]["fd_random_vgg16"]) == set(values["calibration"])
    assert values["protocol_version"] >= 1
    assert {"stylegen", "torch", "torch-fidelity"} == set(values["versions"])
    assert reports[-1][1:] == (40, 40)
    assert ("generated images (random_vgg16)", 30, 30) in reports


def test_ids_name_their_extractor() -> None:
    """Only Inception's distance is called `fid`."""
    for metric_id, metric in METRICS.items():
        kind, _, rest = metric_id.partition("_")
        if kind in ("fd", "prdc", "authenticity") or (kind == "ls" and rest):
            assert rest == metric.extractor
        elif kind == "ls":
            assert metric.keys == METRICS[f"ls_{metric.extractor}"].keys
        else:
            named = ("inception", "vgg16", "nvidia_vgg16", "lpips", f"lpips_{rest[5:]}")
            assert metric.extractor in (("squared_error",) if metric.motion else named)
    assert METRICS["fid"].extractor == METRICS["fid50k_full"].extractor == "inception"
    assert METRICS["pr50k3_full"].extractor == "nvidia_vgg16"


def test_metrics_without_weights() -> None:
    ids = {
        "ppl2_wend": "ppl2_wend_random_vgg16",
        "fid": "fd_random_vgg16",
        "ls": "ls_random_vgg16",
        "is50k": "fd_random_vgg16",
    }
    assert {metric_id: without_weights(metric_id) for metric_id in ids} == ids


def test_lower_is_better_is_known_for_every_number() -> None:
    for metric in METRICS.values():
        for key, better in metric.keys.items():
            assert better_direction(key) == better_direction(f"{key}_psi0.7") == better
    assert better_direction("fid") == "lower"
    assert better_direction("kid_std") is better_direction("beauty") is None


@pytest.mark.parametrize(
    ("ids", "num_fakes", "message"),
    [
        (["fd_random_vgg"], 30, r"metrics=fd_random_vgg: .* Did you mean fd_random_vgg16"),
        ([], 30, r"metrics=\[\]"),
        (FD, 1, "num_samples=1: fd_random_vgg16 needs at least 2"),
        (["kid"], 5000, r"number of reals=40: kid needs at least 1000.* evaluation\.kid_subset_size \(now 1000\)"),
        (["kid"], 30, "num_samples=30: kid needs at least 1000"),
        (["isc"], 499, r"isc needs at least 500\. .*evaluation\.isc_splits"),
        (["prc"], 3, "prc needs at least 4"),
        (["prdc_random_vgg16"], 5, r"needs at least 6\. .*evaluation\.prdc_neighborhood"),
        (["fid50k_full"], 30, "fid50k_full is defined for exactly 50000"),
        (["pr50k3_full"], 49_999, "is defined for exactly 50000"),
    ],
)
def test_what_cannot_be_measured(reals: Reals, ids: list[str], num_fakes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluation_of(ids, num_fakes, reals).check()


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="kid_subset_size=1: must be an integer from 2"):
        MetricOptions(kid_subset_size=1)


def test_alpha_is_refused_before_anything_is_generated() -> None:
    with pytest.raises(UserError, match="4 channels"):
        evaluation_of(FD, 30, Reals(torch.zeros(40, 4, 16, 16, dtype=torch.uint8))).check()


def test_stored_images_have_no_paths(reals: Reals) -> None:
    with pytest.raises(UserError, match="a path length is a property of a generator"):
        evaluation_of(["ppl2_wend_random_vgg16"], 30, reals).check(paths=False)


@pytest.mark.usefixtures("thumbnail")
def test_departures_from_the_protocol_change_the_name(reals: Reals, fakes: Tensor) -> None:
    card = evaluation_of(FD, 30, reals, mirror_reals=True, cache=False).measure([fakes])
    (name,) = card.metrics
    assert name == "fd_random_vgg16_mirrored-reals"
    assert card.num_reals == 80
    assert set(card.references) == set(card.better) == {name}
    both = Reals(torch.cat([reals.images, reals.images.flip(-1)]))
    plain = evaluation_of(FD, 30, both, cache=False, calibrate=False).measure([fakes])
    assert card.metrics[name] == pytest.approx(plain.metrics["fd_random_vgg16"], rel=1e-9)
    with pytest.raises(UserError, match=r"evaluation\.noise=loud"):
        Protocol(noise="loud")
    with pytest.raises(UserError, match="finite"):
        Protocol(truncation_psi=float("nan"))
    assert Protocol(0.7, "const", "uniform").suffix() == "_psi0.7_noise-const_labels-uniform"
    assert Protocol(0.7, "const", "uniform").suffix(generated=False) == Protocol().suffix() == ""


def test_a_departure_that_plays_no_part_in_a_number_is_no_part_of_its_name() -> None:
    departed = Protocol(0.7, "const", "uniform", mirror_reals=True)
    assert departed.suffix(pairs=True, against_reals=False) == "_labels-uniform"
    mirrored = Protocol(mirror_reals=True)
    assert METRICS["isc"].names(mirrored, conditional=False) == {"isc": "isc", "isc_std": "isc_std"}
    assert METRICS["fid"].names(mirrored, conditional=False) == {"fid": "fid_mirrored-reals"}


def test_other_weights_than_the_published_ones_change_the_name(
    reals: Reals, fakes: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Thumbnail()
    other.recipe["weights_published"] = False
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: other)
    card = evaluation_of(FD, 30, reals, cache=False).measure([fakes])
    assert list(card.metrics) == list(card.better) == list(card.references) == ["fd_random_vgg16_unpublished-weights"]
    assert better_direction("fd_random_vgg16_unpublished-weights") == "lower"


def test_an_own_weights_file_is_opened_beforehand(reals: Reals, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "own.pth")
    with pytest.raises(UserError, match="cannot be used as vgg16 weights"):
        evaluation_of(["ppl2_wend"], 50_000, reals, weights=str(tmp_path / "own.pth")).check()


@pytest.mark.usefixtures("thumbnail")
def test_no_more_is_kept_of_the_fakes_than_moments(
    reals: Reals, fakes: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with their number."""
    from stylegen.metrics.formulas.feature_set import FeatureSet

    kept = []
    update = FeatureSet.update

    def watched(self: FeatureSet, features: Tensor) -> None:
        update(self, features)
        kept.append(self._chunks)

    monkeypatch.setattr(FeatureSet, "update", watched)
    evaluation_of(FD, 30, reals, cache=False, calibrate=False).measure(fakes.split(5))
    assert kept[-1] is None


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize("shape", [(30, 3, 32, 32), (30, 1, 16, 16), (30, 4, 16, 16)])
def test_sets_that_differ_in_shape(reals: Reals, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="sets that differ cannot be compared"):
        evaluation_of(FD, 30, reals).measure([torch.zeros(shape, dtype=torch.uint8)])


@pytest.mark.usefixtures("thumbnail")
def test_too_few_fakes(reals: Reals, fakes: Tensor) -> None:
    with pytest.raises(UserError, match="30 generated images: the evaluation needs num_samples=31"):
        evaluation_of(FD, 31, reals).measure([fakes])


def test_features_that_are_not_finite(reals: Reals, fakes: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Thumbnail):
        def __call__(self, images: Tensor) -> Tensor:
            return super().__call__(images).log() * float("nan")

    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Broken())
    with pytest.raises(UserError, match="not finite"):
        evaluation_of(FD, 30, reals, cache=False).measure([fakes])
