"""From pictures to a metric card: checks first, then the reals, then one pass over the fakes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from stylegen.errors import UserError, unknown_choice
from stylegen.features import build_extractor
from stylegen.features.weights import require_weights
from stylegen.metrics.cache import StatisticsCache, default_folder
from stylegen.metrics.calibration import REFERENCES, chosen_picture, references
from stylegen.metrics.card import MetricCard
from stylegen.metrics.metric import DEFAULT_OPTIONS, FeatureSet, Kind, MetricOptions
from stylegen.metrics.reals import Extraction, Progress, RealImages, RealStatistics, real_statistics
from stylegen.metrics.registry import METRICS

QUANTISATION = "floor(127.5 x + 128) clamped to [0, 255]"  # stylegen.images.to_uint8

Fakes = Iterable[Tensor] | Callable[[], Iterable[Tensor]]


def check_metrics(
    ids: Sequence[str],
    num_fakes: int,
    reals: RealImages,
    *,
    weights: str | Path | None = None,
    options: MetricOptions = DEFAULT_OPTIONS,
) -> None:
    """Everything that can be wrong with an evaluation, found before training starts; may download weights.

    Raises:
        UserError: no id or an unknown one; fewer fakes or reals than a metric needs; reals that are neither
            grey nor RGB; weights that cannot be had.
    """
    if not ids:
        raise unknown_choice("metrics", "[]", METRICS)
    for metric_id in ids:
        if metric_id not in METRICS:
            raise unknown_choice("metrics", metric_id, METRICS)
    if reals.spec.channels not in (1, 3):
        raise UserError(
            f"{reals.name} has {reals.spec.channels} channels",
            rule="metrics are defined for grey (1) and RGB (3) pictures, not for an alpha channel",
            fix="Flatten the pictures onto a background, or measure nothing (fidelity=none in training)",
        )
    for metric_id in ids:
        metric = METRICS[metric_id]
        _check_count(metric_id, "num_samples", num_fakes, metric.min_fakes(options), options)
        _check_count(metric_id, "number of reals", reals.num_images, metric.min_reals(options), options)
    for extractor in _by_extractor(ids):
        require_weights(extractor, weights)


def compute_metrics(
    ids: Sequence[str],
    fakes: Fakes,
    num_fakes: int,
    reals: RealImages,
    *,
    options: MetricOptions = DEFAULT_OPTIONS,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    seed: int = 0,
    calibrate: bool = True,
    cache: bool = True,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    sampling: Mapping[str, object] | None = None,
) -> MetricCard:
    """Measure fakes against reals. Memory is flat in the number of fakes for Frechet distances.

    Args:
        ids: keys of `METRICS`.
        fakes: batches of uint8 NCHW, or a function that gives them, gone through once; the first `num_fakes` count.
        reals: the dataset; all its pictures, unmirrored.
        weights: file or folder for the extractors; see `stylegen.features.weights.require_weights`.
        batch_size: pictures at once in the extractor; moves the numbers by rounding only.
        seed: of the keyed choices of the calibration.
        calibrate: give the references of Frechet distances (one more pass over the reals, once).
        cache: keep statistics of the reals in `cache_dir`, by default `cache.default_folder()`.
        progress: called with (what, pictures done, pictures in all).
        sampling: how the fakes were made (snapshot, psi, noise, labels, seed, ...), for the card.

    Raises:
        UserError: see `check_metrics`; fakes unlike the reals in size or channels, or too few; features not finite.
    """
    check_metrics(ids, num_fakes, reals, weights=weights, options=options)
    store = StatisticsCache((cache_dir or default_folder()) if cache else None)
    views = []
    for name, group in _by_extractor(ids).items():
        way = Extraction(build_extractor(name, weights, device), batch_size, progress)
        views.append(_View.of(group, way, reals, seed, store))
    _draw(fakes, num_fakes, reals, views)
    beside = _references(views, reals, seed, store) if calibrate else {}
    return MetricCard(
        **_scores(ids, views, options),
        references=beside,
        num_samples=num_fakes,
        num_reals=reals.num_images,
        dataset=_identity(reals),
        extractors={view.way.extractor.name: view.recipe() for view in views},
        options=asdict(options),
        calibration={**REFERENCES, "picture": chosen_picture(reals.num_images, seed)} if beside else {},
        sampling={"quantisation": QUANTISATION, **(sampling or {})},
        seed=seed,
    )


@dataclass
class _View:
    """All metrics that look through one extractor, and what it shows of either side."""

    ids: Sequence[str]
    way: Extraction
    known: RealStatistics
    drawn: FeatureSet

    @classmethod
    def of(cls, ids: Sequence[str], way: Extraction, reals: RealImages, seed: int, store: StatisticsCache) -> Self:
        """With the reals described, and no fakes seen."""
        known = real_statistics(reals, way, _kinds(ids, of_reals=True), seed, store)
        return cls(ids, way, known, FeatureSet(way.extractor.dim, _kinds(ids)))

    def recipe(self) -> dict[str, object]:
        return {"weights_id": self.way.extractor.weights_id, **self.way.extractor.recipe}


def _scores(ids: Sequence[str], views: Sequence[_View], options: MetricOptions) -> dict[str, Any]:
    """The card's `metrics` and `better`, in the order that was asked for."""
    scores: dict[str, float] = {}
    for view in views:
        reals = view.known.feature_set()
        for metric_id in view.ids:
            scores |= METRICS[metric_id].compute(view.drawn, reals, view.way.extractor, options)
    better = {key: sense for metric_id in ids for key, sense in METRICS[metric_id].keys.items()}
    return {"metrics": {key: scores[key] for key in better}, "better": better}


def _references(
    views: Sequence[_View], reals: RealImages, seed: int, store: StatisticsCache
) -> dict[str, dict[str, float]]:
    return {
        metric_id: references(reals, view.way, view.known, seed, store)
        for view in views
        for metric_id in view.ids
        if METRICS[metric_id].calibrated
    }


def _identity(reals: RealImages) -> dict[str, str | int]:
    return {"name": reals.name, "fingerprint": reals.fingerprint, **asdict(reals.spec)}


def _by_extractor(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids, each once, under the extractor through which they look."""
    groups: dict[str, list[str]] = {}
    for metric_id in dict.fromkeys(ids):
        groups.setdefault(METRICS[metric_id].extractor, []).append(metric_id)
    return groups


def _kinds(group: Sequence[str], of_reals: bool = False) -> list[Kind]:
    """What these metrics want to know of the fakes, or of the reals."""
    return sorted({METRICS[i].kind for i in group if METRICS[i].uses_reals or not of_reals})


def _check_count(metric_id: str, what: str, count: int, least: int, options: MetricOptions) -> None:
    if count >= least:
        return
    option = METRICS[metric_id].size_option
    lower = f", or lower fidelity.{option} (now {getattr(options, option)})" if option else ""
    raise UserError(
        f"{what}={count}",
        rule=f"{metric_id} needs at least {least}",
        fix=f"Use more pictures{lower}, or leave {metric_id} out",
    )


def _draw(fakes: Fakes, num_fakes: int, reals: RealImages, views: Sequence[_View]) -> None:
    """One pass over the fakes: every batch goes through all extractors."""
    seen = 0
    for batch in fakes() if callable(fakes) else fakes:
        _check_pictures(batch, reals)
        images = batch[: num_fakes - seen]
        seen += len(images)
        for view in views:
            view.drawn.update(view.way.features(images))
            view.way.report("generated pictures", seen, num_fakes)
        if seen == num_fakes:
            return
    raise UserError(
        f"{seen} generated pictures",
        rule=f"num_samples={num_fakes} are to be measured",
        fix=f"Give more pictures, or num_samples={seen}",
    )


def _check_pictures(images: Tensor, reals: RealImages) -> None:
    channels, height, width = images.shape[1:]
    side = reals.spec.resolution
    if (channels, height, width) != (reals.spec.channels, side, side):
        raise UserError(
            f"pictures of {width}x{height} with {channels} channels",
            rule=f"{reals.name} has {side}x{side} with {reals.spec.channels}; sets that differ cannot be compared",
            fix="Measure against a dataset of the same resolution and channels",
        )
