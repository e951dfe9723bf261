"""An evaluation in one object: settings, reals, extractors and cache; computes a metric card from images.

It checks its arguments, extracts the features of the reals, and makes one pass over the fakes. Several processes may
run one evaluation with equal arguments; each gets the card.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from stylegen import distributed
from stylegen.errors import UserError
from stylegen.features import build_extractor
from stylegen.features.weights import FILES_OF, require_weights, sha256
from stylegen.metrics.engine.calibration import Calibration
from stylegen.metrics.engine.card_content import make_card
from stylegen.metrics.engine.continuation import Continuation
from stylegen.metrics.engine.fakes import (
    GeneratedImages,
    ImageStream,
    NumberedImages,
    WalkableImages,
    default_batch_size,
)
from stylegen.metrics.engine.metric_group import MetricGroup, by_extractor, extract_fakes, groups_of
from stylegen.metrics.engine.real_sets import (
    MirroredReals,
    PublishedReals,
    at_resolution,
    mirrors,
    reals_by_class,
)
from stylegen.metrics.engine.reals import PROTOCOL_VERSION, Extraction, Progress, RealImages
from stylegen.metrics.engine.requirements import check_evaluation, check_network
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache, default_folder
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.evaluation_settings import DEFAULT_SETTINGS, EvaluationSettings
from stylegen.networks import StyleGenerator

QUANTIZATION = "floor(127.5 x + 128) clamped to [0, 255]"  # stylegen.images.to_uint8

Fakes = NumberedImages | Iterable[Tensor] | Callable[[], Iterable[Tensor]]


@dataclass(frozen=True)
class Evaluation:
    """Evaluates images against a dataset. For Frechet distances, memory is constant in the number of fakes.

    Args:
        metrics: ids, keys of `METRICS`.
        num_samples: number of images to evaluate.
        reals: the dataset.
        settings: `evaluation.*`.
        device: GPU or CPU that runs the extractors.
        progress: called with (stage, images done, images in total).
        keep_extractors: keep them in memory after `measure_generator`, for the next call.
        extractors: loaded extractors by name and device, shared with copies made by `dataclasses.replace`.
    """

    metrics: Sequence[str]
    num_samples: int
    reals: RealImages
    settings: EvaluationSettings = DEFAULT_SETTINGS
    device: torch.device | str = "cpu"
    progress: Progress | None = None
    keep_extractors: bool = True
    extractors: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def check(self, *, paths: bool = True, prefix: str = "", open_weights: bool = True) -> None:
        """Checks everything before the computation; may download weights.

        Args:
            paths: the images come from a generator, so path lengths can be measured.
            prefix: start of the settings' names in messages: "evaluation." in training.
            open_weights: also load a user's weights file, which has no published hash.

        Raises:
            UserError: no id or an unknown one; too few fakes or reals for a metric, or not the number in its id;
                `mirror_reals` for a metric that fixes it; reals that are neither gray nor RGB; a path length without a
                generator; published statistics for a metric that needs more; weights that are missing or do not match.
        """
        check_evaluation(self, paths=paths, prefix=prefix, open_weights=open_weights)

    def measure(
        self, images: Fakes, *, sampling: Mapping[str, object] | None = None, identity: str | None = None
    ) -> MetricCard:
        """Measures the first `num_samples` images.

        Args:
            images: images by index; or, in a single process, batches of uint8 NCHW or a function that returns them.
            sampling: origin of the images (snapshot, psi, noise, labels, seeds, ...), for the card.
            identity: identifies the images; with a cache, it lets an interrupted evaluation continue.

        Raises:
            UserError: see `check`; too few images; images that differ from the reals in size or channels;
                features that are not finite.
        """
        generated = isinstance(images, WalkableImages)
        checked = distributed.run_on_all_ranks(partial(self._checked, generated))
        cache = self.cache
        calibrate = self.settings.calibrate and not isinstance(checked.reals, PublishedReals)
        groups = [
            MetricGroup.of(g, self.extraction(g[0].extractor), checked.reals, calibrate=calibrate, cache=cache)
            for g in groups_of(self.metrics)
        ]
        key = None if identity is None else checked._key(identity, groups)
        with Continuation(cache, key, [group.fakes for group in groups]) as state:
            numbered = _numbered(images)
            extract_fakes(numbered, self.num_samples, checked.reals, groups, state)
            for group in groups:
                group.gather(numbered, self.num_samples)
            references = self._references(groups, cache) if calibrate else {}
            made = {"quantization": QUANTIZATION, **(sampling or {})}
            return distributed.broadcast_from_rank0(
                partial(make_card, checked, groups, references=references, sampling=made, generated=generated)
            )

    def measure_generator(
        self,
        generator: StyleGenerator,
        *,
        batch_size: int | None = None,
        per_class: int = 0,
        sampling: Mapping[str, object] | None = None,
        identity: str | None = None,
    ) -> MetricCard:
        """Evaluates a generator: `G_ema`, in evaluation mode, on its device.

        A growing network is evaluated at its current resolution, which becomes part of the numbers' names:
        `fid50k_full_64px`.

        Args:
            batch_size: images per batch of the generator; None for `default_batch_size`.
            per_class: also evaluate this many samples of each class of a conditional generator, against its reals.
            sampling, identity: see `measure`.

        Raises:
            UserError: see `measure`; `per_class` for a generator without classes, or with too few images in a class;
                published statistics for a growing network; equivariance of a network whose input is fixed, or noise
                of one without.
        """
        check_network(self.metrics, self.settings.noise, generator)
        reals = at_resolution(self.reals, generator.level.resolution)
        whole = replace(self, reals=reals, device=next(generator.parameters()).device)
        parts = whole._per_class(generator, per_class) if per_class else {}
        made = _generation(generator, self.settings, self.num_samples) | dict(sampling or {})
        batch_size = min(batch_size or default_batch_size(generator.level.resolution), self.num_samples)
        images = partial(GeneratedImages.of, generator, reals, self.settings.protocol, batch_size)
        card = whole.measure(images(), sampling=made, identity=identity)
        classes = {
            name: part.measure(images(label=part.reals.label), sampling=made).metrics  # type: ignore[attr-defined]
            for name, part in parts.items()
        }
        if not self.keep_extractors:
            self.extractors.clear()
        if not classes:
            return card
        means = {key: sum(values[key] for values in classes.values()) / len(classes) for key in card.metrics}
        return replace(card, classes=classes | {"mean over classes": means})

    def extraction(self, name: str) -> Extraction:
        """The extractor `name`, loaded at first use."""
        key = (name, str(self.device))
        if key not in self.extractors:
            self.extractors[key] = build_extractor(name, self.settings.weights, self.device)
        return Extraction(self.extractors[key], self.settings.batch_size, self.progress)

    @property
    def cache(self) -> StatisticsCache:
        """The cache of the reals' statistics."""
        folder = Path(self.settings.cache_dir).expanduser() if self.settings.cache_dir else default_folder()
        return StatisticsCache(folder if self.settings.cache else None)

    def question(self, digest: str, per_class: int = 0) -> str:
        """Digest of everything that affects a card: an earlier card with the same digest can be reused.

        Args:
            digest: hash of the images or the generator.
        """
        names = [name for extractor in by_extractor(self.metrics) for name in FILES_OF.get(extractor, (extractor,))]
        files = [require_weights(name, self.settings.weights) for name in names]
        content = {
            "subject": digest,
            "reals": self.reals.fingerprint,
            "mirror": mirrors(self.reals),
            "metrics": list(self.metrics),
            "num_samples": self.num_samples,
            "per_class": per_class,
            "options": asdict(self.settings.options),
            "protocol": asdict(self.settings.protocol),
            "version": PROTOCOL_VERSION,
            "weights": [None if file is None else _file_hash(file) for file in files],
            "calibrate": self.settings.calibrate,
        }
        return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()

    def _checked(self, generated: bool) -> Self:
        """Check, and add mirror images to the reals if the protocol requires them."""
        self.check(paths=generated, open_weights=False)
        return replace(self, reals=MirroredReals(self.reals)) if self.settings.mirror_reals else self

    def _per_class(self, generator: StyleGenerator, count: int) -> "dict[str, Evaluation]":
        """An evaluation for each class; checked now, because classes are evaluated last."""
        check_classes(generator.num_classes, count)
        settings = replace(self.settings, calibrate=False)
        parts = {
            name: replace(self, reals=reals, num_samples=count, settings=settings)
            for name, reals in reals_by_class(self.reals).items()
        }
        for part in parts.values():
            try:
                replace(part, settings=replace(settings, mirror_reals=False)).check(open_weights=False)
            except UserError as error:
                raise UserError(
                    f"per_class={count} for {part.reals.name}",
                    rule=str(error),
                    fix="Use a metric for which every class has enough images",
                ) from error
        return parts

    def _references(self, groups: Sequence[MetricGroup], cache: StatisticsCache) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for group in groups:
            if metrics := [m for m in group.metrics if m.calibrated]:
                calibration = Calibration(
                    group.source, group.extraction, group.statistics, options=self.settings.options, cache=cache
                )
                found |= calibration.references(metrics, self.num_samples)
        return found

    def _key(self, identity: str, groups: Sequence[MetricGroup]) -> Key:
        """Everything that affects the features of the fakes."""
        return {
            "kind": "unfinished",
            "extractor": "+".join(group.extraction.extractor.name for group in groups),
            "weights": "+".join(group.extraction.extractor.weights_id for group in groups),
            "protocol": PROTOCOL_VERSION,
            "fakes": identity,
            "metrics": "+".join(self.metrics),
            "num_fakes": self.num_samples,
            "resolution": self.reals.spec.resolution,
            "channels": self.reals.spec.channels,
        }


def check_classes(num_classes: int, per_class: int) -> None:
    """Raises UserError for metrics of each class of a generator without classes."""
    if per_class and not num_classes:
        raise UserError(
            f"per_class={per_class}",
            rule="this generator has no classes",
            fix="Omit it, or train with data.use_labels=true",
        )


def _numbered(images: Fakes) -> NumberedImages:
    if isinstance(images, NumberedImages):
        return images
    if distributed.world_size() > 1:
        raise TypeError("several processes need images by index, not a stream of batches")
    return ImageStream(images() if callable(images) else images)


def _generation(generator: StyleGenerator, settings: EvaluationSettings, num_samples: int) -> dict[str, object]:
    """How the images were generated, for the card."""
    labels = "uniform over classes" if settings.labels == "uniform" else "sampled from the dataset"
    return {
        "weights": "EMA",
        "precision": "float32",
        "psi": settings.truncation_psi,
        "noise": settings.noise,
        "labels": labels if generator.num_classes else "none: the generator is unconditional",
        "seeds": f"0 to {num_samples - 1}",
        "resolution_drawn": generator.level.resolution,
    }


def _file_hash(path: Path) -> str:
    return _hash_of_state(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache
def _hash_of_state(path: Path, modified: int, size: int) -> str:
    """SHA-256, computed once per state of the file; half a gigabyte takes one to two seconds."""
    return sha256(path)
