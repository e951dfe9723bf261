"""From pictures to a metric card: checks first, then the reals, then one pass over the fakes.

Several processes may run this together, all with the same arguments (see `ranks`); each returns the card.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.features import DISTANCES, build_distance, build_extractor
from stylegen.metrics import ranks
from stylegen.metrics.cache import Key, StatisticsCache, default_folder
from stylegen.metrics.calibration import REFERENCES, chosen_picture, references
from stylegen.metrics.card import MetricCard
from stylegen.metrics.checks import by_extractor, check_metrics
from stylegen.metrics.continuation import Continuation
from stylegen.metrics.fakes import NumberedPictures, Stream, WalkablePictures
from stylegen.metrics.metric import DEFAULT_OPTIONS, MetricOptions
from stylegen.metrics.protocol import OFFICIAL, Protocol
from stylegen.metrics.real_sets import MirroredReals, PublishedReals, describe_reals, suffix_of
from stylegen.metrics.reals import PROTOCOL_VERSION, Extraction, Progress, RealImages
from stylegen.metrics.registry import METRICS
from stylegen.metrics.views import View, draw

QUANTISATION = "floor(127.5 x + 128) clamped to [0, 255]"  # stylegen.images.to_uint8

Fakes = NumberedPictures | Iterable[Tensor] | Callable[[], Iterable[Tensor]]


def compute_metrics(
    ids: Sequence[str],
    fakes: Fakes,
    num_fakes: int,
    reals: RealImages,
    *,
    options: MetricOptions = DEFAULT_OPTIONS,
    protocol: Protocol = OFFICIAL,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    seed: int = 0,
    calibrate: bool = True,
    cache: bool = True,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    sampling: Mapping[str, object] | None = None,
    identity: str | None = None,
) -> MetricCard:
    """Measure fakes against reals. Memory is flat in the number of fakes for Frechet distances.

    Args:
        ids: keys of `METRICS`.
        fakes: pictures by number; or, for a single process, batches of uint8 NCHW or a function that gives them, gone
            through once. The first `num_fakes` count.
        reals: the dataset; all its pictures, unmirrored by the protocol.
        protocol: what was done about psi, noise and labels, and is to be done about mirror images of reals.
        weights: file or folder for the extractors; see `stylegen.features.weights.require_weights`.
        batch_size: pictures at once in the extractor; moves the numbers by rounding only.
        seed: of the keyed choices of the calibration.
        calibrate: give the references of `calibration` (one more pass over the reals, once).
        cache: keep statistics of the reals in `cache_dir`, by default `cache.default_folder()`.
        progress: called with (what, pictures done, pictures in all).
        sampling: how the fakes were made (snapshot, psi, noise, labels, seed, ...), for the card.
        identity: says which fakes these are. With it, and a cache, an interrupted score goes on where it was.

    Raises:
        UserError: see `check_metrics`; fakes unlike the reals in size or channels, or too few; features not finite.
    """
    walks = isinstance(fakes, WalkablePictures)
    check = partial(check_metrics, weights=weights, options=options, protocol=protocol, walks=walks, open_weights=False)
    ranks.together(lambda: check(ids, num_fakes, reals))
    reals = MirroredReals(reals) if protocol.mirror_reals else reals
    calibrate = calibrate and not isinstance(reals, PublishedReals)
    store = StatisticsCache((cache_dir or default_folder()) if cache else None)
    look = partial(_way, weights=weights, device=device, batch_size=batch_size, progress=progress)
    views = [
        View.of(group, way, reals, calibrate, seed, store)
        for way, every in ((look(name), every) for name, every in by_extractor(ids).items())
        for group in _groups(way.extractor.name, every)
    ]
    key = None if identity is None else _key(identity, ids, num_fakes, reals, views)
    with Continuation(store, key, [view.drawn for view in views]) as state:
        draw(_numbered(fakes), num_fakes, reals, views, state)
        said = sampling or {}
        card = _card(ids, views, num_fakes, reals, options, protocol, calibrate, seed, store, said, walks)
    return replace(card, device=_device_name(torch.device(device)))


def _groups(extractor: str, ids: list[str]) -> list[list[str]]:
    """Metrics of one extractor that share fakes and reals; each path length has paths of its own."""
    if extractor in DISTANCES:
        return [[i] for i in ids]
    groups: dict[int | None, list[str]] = {}
    for metric_id in ids:
        groups.setdefault(METRICS[metric_id].first_reals, []).append(metric_id)
    return list(groups.values())


def _way(
    name: str, weights: str | Path | None, device: torch.device | str, batch_size: int, progress: Progress | None
) -> Extraction:
    build = build_distance if name in DISTANCES else build_extractor
    return Extraction(build(name, weights, device), batch_size, progress)


def _card(
    ids: Sequence[str],
    views: Sequence[View],
    num_fakes: int,
    reals: RealImages,
    options: MetricOptions,
    protocol: Protocol,
    calibrate: bool,
    seed: int,
    store: StatisticsCache,
    sampling: Mapping[str, object],
    walks: bool,
) -> MetricCard:
    """Gather what the processes have seen, and take the scores; see `compute_metrics` for the arguments."""
    for view in views:
        view.drawn = view.drawn.gathered(num_fakes)
    beside = _references(views, options, seed, store) if calibrate else {}
    choices: dict[str, Any] = {
        "num_samples": num_fakes,
        "seed": seed,
        "protocol": asdict(protocol),
        "options": asdict(options),
    }
    choices["sampling"] = {"quantisation": QUANTISATION, **sampling}
    names = _full_names(ids, reals, protocol, walks)
    return ranks.from_first(
        lambda: MetricCard(
            **_scores(ids, views, options, beside, names), **_sides(ids, views, reals, seed, bool(beside)), **choices
        )
    )


def _full_names(ids: Sequence[str], reals: RealImages, protocol: Protocol, generated: bool) -> dict[str, str]:
    """Every number's name with the departures that move it."""
    names: dict[str, str] = {}
    for metric in (METRICS[i] for i in ids):
        suffix = protocol.suffix(generated, walked=metric.walk is not None, against_reals=metric.uses_reals)
        names |= {key: f"{key}{suffix}{suffix_of(reals)}" for key in metric.keys}
    return names


def _scores(
    ids: Sequence[str],
    views: Sequence[View],
    options: MetricOptions,
    beside: Mapping[str, dict[str, float]],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """The card's `metrics`, `better` and `references`, in the order that was asked for, under their full names."""
    scores: dict[str, float] = {}
    for view in views:
        for metric_id in view.ids:
            scores |= METRICS[metric_id].compute(view.drawn, view.reals, view.way.extractor, options)
    better = {key: sense for metric_id in ids for key, sense in METRICS[metric_id].keys.items()}
    return {
        "metrics": {names[key]: scores[key] for key in better},
        "better": {names[key]: sense for key, sense in better.items()},
        "references": {names[key]: values for key, values in beside.items()},
    }


def _sides(ids: Sequence[str], views: Sequence[View], reals: RealImages, seed: int, calibrated: bool) -> dict[str, Any]:
    """What the card says of the reals and of the ways in which pictures were looked at."""
    return {
        "num_reals": reals.num_images,
        "dataset": {"name": reals.name, "fingerprint": reals.fingerprint, **asdict(reals.spec)},
        "reals": _which(views, reals),
        "extractors": {view.way.extractor.name: view.recipe() for view in views},
        "covariance": _covariance(ids),
        "calibration": {**REFERENCES, "picture": chosen_picture(reals.num_images, seed)} if calibrated else {},
    }


def _references(
    views: Sequence[View], options: MetricOptions, seed: int, store: StatisticsCache
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for view in views:
        ids = [i for i in view.ids if METRICS[i].calibrated]
        if ids:
            found |= references(ids, METRICS, view.source, view.way, view.known, options, seed, store)
    return found


def _numbered(fakes: Fakes) -> NumberedPictures:
    if isinstance(fakes, NumberedPictures):
        return fakes
    if ranks.num_ranks() > 1:
        raise TypeError("several processes share pictures by number, and a stream of batches has none")
    return Stream(fakes() if callable(fakes) else fakes)


def _key(identity: str, ids: Sequence[str], num_fakes: int, reals: RealImages, views: Sequence[View]) -> Key:
    """Everything on which what is gathered of the fakes depends."""
    return {
        "kind": "unfinished",
        "extractor": "+".join(view.way.extractor.name for view in views),
        "weights": "+".join(view.way.extractor.weights_id for view in views),
        "protocol": PROTOCOL_VERSION,
        "fakes": identity,
        "metrics": "+".join(ids),
        "num_fakes": num_fakes,
        "resolution": reals.spec.resolution,
        "channels": reals.spec.channels,
    }


def _device_name(device: torch.device) -> str:
    """ "cpu", or "cuda: NVIDIA H200"."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def _covariance(ids: Sequence[str]) -> str:
    """What each Frechet distance divides its covariances by."""
    named = []
    for ddof, divisor in ((1, "N - 1"), (0, "N")):
        if found := [i for i in ids if METRICS[i].ddof == ddof]:
            named.append(f"divided by {divisor}: {', '.join(found)}")
    return "; ".join(named)


def _which(views: Sequence[View], reals: RealImages) -> str:
    """The reals that count: of the dataset, and for which metrics it is others."""
    others = [f"{', '.join(view.ids)}: {describe_reals(view.source)}" for view in views if view.source is not reals]
    return "; ".join([describe_reals(reals), *others])
