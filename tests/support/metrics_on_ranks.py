"""Metrics on several processes, which `test_ranks.py` starts."""

import json
from pathlib import Path
from typing import Any

import torch

from stylegen import distributed, features
from stylegen.errors import UserError
from stylegen.metrics.engine.fakes import StoredImages
from stylegen.verbs.evaluate import _rank
from tests.support.metric_images import Reals, Thumbnail, evaluation_of, portraits
from tests.support.tiny import tiny_generator

IDS = ["fd_random_vgg16", "prdc_random_vgg16", "authenticity_random_vgg16", "ppl2_wend_random_vgg16"]


class Conditional(Reals):
    """Reals with three classes."""

    def labels(self) -> torch.Tensor:
        return torch.eye(3)[torch.arange(len(self.images)) % 3]

    stored_labels = labels


class Broken(Thumbnail):
    """NaN for one image, on one rank only."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        values = super().__call__(images)
        values[images.flatten(1).sum(1) == 0] = float("nan")
        return values


def reals() -> Conditional:
    return Conditional(portraits(31, side=16))


def measured(folder: Path) -> dict[str, object]:
    """The card of a tiny conditional generator, and of stored images."""
    features.EXTRACTORS["random_vgg16"] = lambda weights, device: Thumbnail()
    options = {"cache_dir": folder, "batch_size": 5}
    card = evaluation_of(IDS, 23, reals(), **options).measure_generator(
        tiny_generator(num_classes=3), batch_size=4, per_class=6
    )
    separable = evaluation_of(["ls_random_vgg16"], 23, reals(), **options).measure_generator(
        tiny_generator(num_classes=3), batch_size=4
    )
    stored = StoredImages(Reals(portraits(9, side=16, first=50)), 2)
    other = evaluation_of(IDS[:1], 9, reals(), **options).measure(stored)
    return {
        "metrics": card.metrics,
        "references": card.references,
        "classes": card.classes,
        "separability": separable.metrics,
        "attributes": separable.attributes,
        "other": other.metrics,
    }


def failure() -> str:
    """The error raised if one process has images that cannot be measured."""
    features.EXTRACTORS["random_vgg16"] = lambda weights, device: Broken()
    images = portraits(9, side=16)
    images[4] = 0
    try:
        evaluation_of(IDS[:1], 9, reals(), cache=False, calibrate=False).measure(StoredImages(Reals(images), 2))
    except UserError as error:
        return str(error)
    return ""


def work(config: Any) -> str:
    """`measured`, `failure`, and then the command."""
    folder = Path(config.out).parent
    with distributed.process_group(torch.device("cpu")):
        result = measured(folder / f"cache{distributed.world_size()}") | {"failure": failure()}
        (folder / f"{distributed.rank()}.json").write_text(json.dumps(result))
        return _rank(config)
