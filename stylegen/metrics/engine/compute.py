"""From pictures to a metric card: checks first, then the reals, then one pass over the fakes.

All ranks call this with the same arguments (see `stylegen.distributed`); each returns the card.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from stylegen import distributed
from stylegen.features import DISTANCES, build_distance, build_extractor
from stylegen.metrics.engine.calibration import REFERENCES, references
from stylegen.metrics.engine.continuation import Continuation
from stylegen.metrics.engine.fakes import NumberedPictures, Stream, WalkablePictures
from stylegen.metrics.engine.real_sets import MirroredReals, PublishedReals, describe_reals, suffix_of
from stylegen.metrics.engine.reals import PROTOCOL_VERSION, Extraction, Progress, RealImages
from stylegen.metrics.engine.requirements import by_extractor, check_metrics
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache, default_folder
from stylegen.metrics.engine.views import View, draw
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.metric import DEFAULT_OPTIONS, MetricOptions
from stylegen.metrics.protocol.protocol import OFFICIAL, Protocol
from stylegen.metrics.protocol.registry import METRICS

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
    asked = _Question(ids, num_fakes, reals, options, protocol, seed, isinstance(fakes, WalkablePictures))
    asked = distributed.together(partial(asked.checked, weights))
    store = StatisticsCache((cache_dir or default_folder()) if cache else None)
    look = partial(_way, weights=weights, device=device, batch_size=batch_size, progress=progress)
    calibrate = calibrate and not isinstance(asked.reals, PublishedReals)
    views = [View.of(group, way, asked.reals, calibrate, seed, store) for way, group in _groups(ids, look)]
    key = None if identity is None else _key(identity, asked, views)
    with Continuation(store, key, [view.drawn for view in views]) as state:
        draw(_numbered(fakes), num_fakes, asked.reals, views, state)
        for view in views:
            view.drawn = view.drawn.gathered(num_fakes)
        beside = _references(views, options, seed, store, num_fakes) if calibrate else {}
        made = {"quantisation": QUANTISATION, **(sampling or {})}
        return distributed.from_first(partial(_card, asked, views, beside, made, torch.device(device)))


@dataclass(frozen=True)
class _Question:
    """What is measured, and how; see `compute_metrics`. `generated`: the fakes come from a generator."""

    ids: Sequence[str]
    num_fakes: int
    reals: RealImages
    options: MetricOptions
    protocol: Protocol
    seed: int
    generated: bool

    def checked(self, weights: str | Path | None) -> Self:
        """Itself, with mirror images among the reals where the protocol says so; UserError: see `check_metrics`."""
        check_metrics(
            *(self.ids, self.num_fakes, self.reals),
            weights=weights,
            options=self.options,
            protocol=self.protocol,
            walks=self.generated,
            open_weights=False,
        )
        return replace(self, reals=MirroredReals(self.reals)) if self.protocol.mirror_reals else self


def _groups(ids: Sequence[str], look: Callable[[str], Extraction]) -> Iterator[tuple[Extraction, list[str]]]:
    """Metrics that share an extractor, fakes and reals; each path length has paths of its own."""
    for name, every in by_extractor(ids).items():
        way = look(name)
        groups: dict[object, list[str]] = {}
        for metric_id in every:
            shared = metric_id if name in DISTANCES else METRICS[metric_id].first_reals
            groups.setdefault(shared, []).append(metric_id)
        for group in groups.values():
            yield way, group


def _way(
    name: str, weights: str | Path | None, device: torch.device | str, batch_size: int, progress: Progress | None
) -> Extraction:
    build = build_distance if name in DISTANCES else build_extractor
    return Extraction(build(name, weights, device), batch_size, progress)


def _card(
    asked: _Question,
    views: Sequence[View],
    beside: Mapping[str, dict[str, float]],
    sampling: Mapping[str, object],
    device: torch.device,
) -> MetricCard:
    """The numbers of these fakes, and `beside` them those of the calibration."""
    scores: dict[str, float] = {}
    names: dict[str, str] = {}
    for view in views:
        for metric_id in view.ids:
            scores |= METRICS[metric_id].compute(view.drawn, view.reals, view.way.extractor, asked.options)
            names |= full_names(metric_id, asked.reals, asked.protocol, asked.generated, view.published)
    better = {key: sense for metric_id in asked.ids for key, sense in METRICS[metric_id].keys.items()}
    return MetricCard(
        metrics={names[key]: scores[key] for key in better},
        better={names[key]: sense for key, sense in better.items()},
        references={names[key]: values for key, values in beside.items()},
        num_samples=asked.num_fakes,
        num_reals=asked.reals.num_images,
        dataset={"name": asked.reals.name, "fingerprint": asked.reals.fingerprint, **asdict(asked.reals.spec)},
        reals=_which(views, asked.reals),
        extractors={view.way.extractor.name: view.recipe() for view in views},
        covariance=_covariance(asked.ids),
        calibration=dict(REFERENCES) if beside else {},
        options=asdict(asked.options),
        protocol=asdict(asked.protocol),
        sampling=dict(sampling),
        seed=asked.seed,
        device=f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
    )


def full_names(
    metric_id: str, reals: RealImages, protocol: Protocol, generated: bool = True, published: bool = True
) -> dict[str, str]:
    """Every number's name with the departures that move it.

    Args:
        generated: the fakes come from a generator.
        published: the extractor's weights are the published ones.
    """
    metric = METRICS[metric_id]
    suffix = protocol.suffix(
        generated,
        walked=metric.walk is not None,
        against_reals=metric.uses_reals,
        conditional=reals.spec.num_classes > 0,
    )
    weights = "" if published else "_unpublished-weights"
    return {key: f"{key}{suffix}{weights}{suffix_of(reals)}" for key in metric.keys}


def _references(
    views: Sequence[View], options: MetricOptions, seed: int, store: StatisticsCache, num_fakes: int
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for view in views:
        ids = [i for i in view.ids if METRICS[i].calibrated]
        if ids:
            found |= references(ids, METRICS, view.source, view.way, view.known, options, seed, store, num_fakes)
    return found


def _numbered(fakes: Fakes) -> NumberedPictures:
    if isinstance(fakes, NumberedPictures):
        return fakes
    if distributed.world_size() > 1:
        raise TypeError("several processes share pictures by number, and a stream of batches has none")
    return Stream(fakes() if callable(fakes) else fakes)


def _key(identity: str, asked: _Question, views: Sequence[View]) -> Key:
    """Everything on which what is gathered of the fakes depends."""
    return {
        "kind": "unfinished",
        "extractor": "+".join(view.way.extractor.name for view in views),
        "weights": "+".join(view.way.extractor.weights_id for view in views),
        "protocol": PROTOCOL_VERSION,
        "fakes": identity,
        "metrics": "+".join(asked.ids),
        "num_fakes": asked.num_fakes,
        "resolution": asked.reals.spec.resolution,
        "channels": asked.reals.spec.channels,
    }


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
