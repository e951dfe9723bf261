"""The generated side of a metric, by the protocol of StyleGAN2-ADA: psi 1, random noise, labels drawn from the data.

Picture i is a function of i alone, so the score depends on no batch size and no number of processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.features import PairDistance
from stylegen.latent.sampler import Sampler
from stylegen.metrics.card import MetricCard
from stylegen.metrics.evaluate import compute_metrics
from stylegen.metrics.metric import Walk
from stylegen.metrics.path_length import path_distances
from stylegen.metrics.protocol import OFFICIAL
from stylegen.metrics.protocol import Protocol as ScoreProtocol
from stylegen.metrics.reals import RealImages, ReducedReals, SomeReals
from stylegen.networks import StyleGenerator


class LabelledImages(RealImages, Protocol):
    """Reals whose labels the generated pictures take."""

    def labels(self) -> Tensor:
        """float32 [num_images, num_classes]."""
        ...


class GeneratedPictures:
    """What a generator draws, by number.

    Args:
        sampler: draws picture i for seed i.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """uint8 [n, C, H, W] with these numbers, a batch at a time.

        The last batch is filled up and cut: convolutions round differently at another batch size, and the number
        of processes shall not decide which pictures that meets.
        """
        size = self.sampler.batch_size
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            yield self.sampler.images(part + part[-1:] * (size - len(part)))[: len(part)]

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        """See `metrics.path_length`."""
        table = self.sampler.label_table
        if table is None:
            table = torch.eye(self.sampler.generator.num_classes)
        return path_distances(self.sampler.generator, table, walk, numbers, self.sampler.batch_size, distance)


def score_generator(
    generator: StyleGenerator,
    reals: LabelledImages,
    ids: Sequence[str],
    num_samples: int,
    sampler_batch: int = 64,
    protocol: ScoreProtocol = OFFICIAL,
    per_class: int = 0,
    sampling: dict[str, object] | None = None,
    **options: Any,
) -> MetricCard:
    """Measure a generator against a dataset.

    A network that is still growing is measured at its level's resolution, against the reals at that resolution, and
    the names of the numbers say so: `fid50k_full_64px`.

    Args:
        generator: in evaluation mode, on its device; the averaged weights, by the protocol.
        reals: the dataset.
        ids, num_samples: see `compute_metrics`.
        sampler_batch: pictures at a time in the generator.
        protocol: psi, noise and labels; departures from the papers' change the names of the numbers.
        per_class: also score each class of a conditional generator, with so many samples, against its own reals.
        sampling: more about the fakes, for the card.
        options: passed on to `compute_metrics`.

    Raises:
        UserError: see `compute_metrics`; `per_class` for a generator without classes.
    """
    if per_class and generator.num_classes == 0:
        raise UserError(
            f"per_class={per_class}",
            rule="this generator has no classes",
            fix="Leave it out, or train with data.use_labels=true",
        )
    if generator.level.resolution < reals.spec.resolution:
        reals = ReducedReals(reals, generator.level.resolution)
    uniform = protocol.labels == "uniform" or generator.num_classes == 0

    def draw(label: int | None = None) -> GeneratedPictures:
        sampler = Sampler(
            generator,
            psi=protocol.truncation_psi,
            noise=protocol.noise,
            label=label,
            label_table=None if uniform else reals.labels(),
            batch_size=min(sampler_batch, num_samples),
        )
        return GeneratedPictures(sampler)

    common: dict[str, Any] = {"protocol": protocol, "device": next(generator.parameters()).device, **options}
    common["sampling"] = _said(generator, protocol) | (sampling or {})
    card = compute_metrics(ids, draw(), num_samples, reals, **common)
    return replace(card, classes=_class_scores(draw, reals, ids, per_class, common)) if per_class else card


def _said(generator: StyleGenerator, protocol: ScoreProtocol) -> dict[str, object]:
    """How the fakes were made, for the card."""
    return {
        "weights": "moving average",
        "psi": protocol.truncation_psi,
        "noise": protocol.noise,
        "labels": "every class alike" if protocol.labels == "uniform" else "drawn from the dataset",
        "resolution_drawn": generator.level.resolution,
    }


def _class_scores(
    draw: Any, reals: LabelledImages, ids: Sequence[str], count: int, common: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """For each class the scores of pictures with its label, against the reals that have it; and their means."""
    labels = reals.labels()
    names = getattr(reals, "class_names", None) or [str(k) for k in range(labels.shape[1])]
    options = common | {"calibrate": False, "identity": None}
    found: dict[str, dict[str, float]] = {}
    for k in range(labels.shape[1]):
        members = torch.nonzero(labels[:, k] > 0)[:, 0]
        if len(members) == 0:  # a name without pictures
            continue
        own = SomeReals(reals, members, f"class {names[k]}")
        found[names[k]] = compute_metrics(ids, draw(k), count, own, **options).metrics
    keys = next(iter(found.values()))
    found["mean over classes"] = {key: sum(v[key] for v in found.values()) / len(found) for key in keys}
    return found
