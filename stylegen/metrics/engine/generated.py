"""The generated side of a metric, by the protocol of StyleGAN2-ADA: psi 1, random noise, labels drawn from the data.

Picture i is a function of i alone, so the score depends on no batch size and no number of processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.features import PairDistance, ieee_float32
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.compute import compute_metrics
from stylegen.metrics.engine.real_sets import ClassReals, PublishedReals, ReducedReals
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.engine.requirements import check_metrics
from stylegen.metrics.formulas.perceptual_path_length import path_distances
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.metric import Walk
from stylegen.metrics.protocol.protocol import OFFICIAL
from stylegen.metrics.protocol.protocol import Protocol as ScoreProtocol
from stylegen.networks import StyleGenerator
from stylegen.one_hot import OneHot, members


class LabelledImages(RealImages, Protocol):
    """Reals whose labels the generated pictures take."""

    def labels(self) -> Tensor | OneHot:
        """[num_images, num_classes]."""
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
            with ieee_float32(self.sampler.device):
                images = self.sampler.images(part + part[-1:] * (size - len(part)))
            yield images[: len(part)]

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        """See `metrics.path_length`."""
        table, label = self.sampler.label_table, self.sampler.label
        if table is None or label is not None:
            table = OneHot.identity(self.sampler.generator.num_classes)
        if label is not None:
            table = table[torch.tensor([label])]
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
        protocol: psi, noise and labels; departures from StyleGAN2-ADA's change the names of the numbers.
        per_class: also score each class of a conditional generator, with so many samples, against its own reals.
        sampling: more about the fakes, for the card.
        options: passed on to `compute_metrics`.

    Raises:
        UserError: see `compute_metrics`; `per_class` for a generator without classes, or with which a class has too few
            pictures for a metric; published statistics for a network that is still growing.
    """
    reals = at_level(reals, generator.level.resolution)
    parts = _class_reals(generator, reals, ids, per_class, options) if per_class else {}
    common: dict[str, Any] = {"protocol": protocol, "device": next(generator.parameters()).device, **options}
    common["sampling"] = _said(generator, protocol, num_samples) | (sampling or {})
    draw = partial(sampler_of, generator, reals, protocol, min(sampler_batch, num_samples))
    card = compute_metrics(ids, GeneratedPictures(draw()), num_samples, reals, **common)
    if not parts:
        return card
    common |= {"calibrate": False, "identity": None}
    classes = {
        name: compute_metrics(ids, GeneratedPictures(draw(own.label)), per_class, own, **common).metrics
        for name, own in parts.items()
    }
    means = {key: sum(scores[key] for scores in classes.values()) / len(classes) for key in card.metrics}
    return replace(card, classes=classes | {"mean over classes": means})


def sampler_of(
    generator: StyleGenerator,
    reals: LabelledImages,
    protocol: ScoreProtocol = OFFICIAL,
    batch_size: int = 16,
    label: int | None = None,
) -> Sampler:
    """Draws the pictures that are measured; with a label, those of one class."""
    uniform = protocol.labels == "uniform" or generator.num_classes == 0
    table = None if uniform else reals.labels()
    return Sampler(
        *(generator, protocol.truncation_psi),
        noise=protocol.noise,
        label=label,
        label_table=table,
        batch_size=batch_size,
    )


def at_level(reals: LabelledImages, resolution: int) -> LabelledImages:
    """The reals as a network that stands at this resolution meets them; as they are for one that has grown up.

    Raises:
        UserError: published statistics, which are of pictures at their full resolution.
    """
    if resolution >= reals.spec.resolution:
        return reals
    if isinstance(reals, PublishedReals):
        raise UserError(
            f"statistics={reals.name} for a network that stands at {resolution} px",
            rule=f"they are of pictures of {reals.spec.resolution} px, and cannot be reduced",
            fix="Give data.path= in place of statistics=",
        )
    return ReducedReals(reals, resolution)


def _said(generator: StyleGenerator, protocol: ScoreProtocol, num_samples: int) -> dict[str, object]:
    """How the fakes were made, for the card."""
    labels = "every class alike" if protocol.labels == "uniform" else "drawn from the dataset"
    return {
        "weights": "EMA",
        "precision": "float32",
        "psi": protocol.truncation_psi,
        "noise": protocol.noise,
        "labels": labels if generator.num_classes else "none: the generator is unconditional",
        "seeds": f"0 to {num_samples - 1}",
        "resolution_drawn": generator.level.resolution,
    }


def _class_reals(
    generator: StyleGenerator, reals: LabelledImages, ids: Sequence[str], count: int, options: dict[str, Any]
) -> dict[str, ClassReals]:
    """For each class the reals that have it; all are checked now, for the classes are measured last."""
    if generator.num_classes == 0:
        raise UserError(
            f"per_class={count}",
            rule="this generator has no classes",
            fix="Leave it out, or train with data.use_labels=true",
        )
    labels = reals.labels()
    names = getattr(reals, "class_names", None) or [str(k) for k in range(labels.shape[1])]
    if len(set(names)) < len(names):
        names = [f"{k} {name}" for k, name in enumerate(names)]
    parts = {
        names[k]: ClassReals(reals, labels, k, names[k]) for k in range(labels.shape[1]) if len(members(labels, k))
    }
    settings = {name: options[name] for name in ("options", "weights") if name in options}
    for own in parts.values():
        try:
            check_metrics(ids, count, own, open_weights=False, **settings)
        except UserError as error:
            raise UserError(
                f"per_class={count} for {own.name}",
                rule=str(error),
                fix="Use a metric for which every class has pictures enough",
            ) from error
    return parts
