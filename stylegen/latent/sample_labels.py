"""Labels of sampled images: random ones, one class, several in turn, or mixtures."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.bounds import brief
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.errors import UserError
from stylegen.latent.seeds import random_labels
from stylegen.one_hot import OneHot

MAX_WEIGHT = 100.0


@dataclass(frozen=True)
class RandomLabels:
    """A random row of `table` [M, num_classes] for each seed, a function of the seed."""

    table: Tensor | OneHot

    def __call__(self, seeds: list[int]) -> Tensor:
        """-> [N, num_classes]."""
        return random_labels(seeds, self.table)

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class GivenLabels:
    """Row `seed % K` of `table` [K, num_classes]."""

    table: Tensor

    def __call__(self, seeds: list[int]) -> Tensor:
        """-> [N, num_classes]."""
        return self.table[torch.tensor(seeds) % len(self.table)]

    def __str__(self) -> str:
        """ "class 2", "classes 2, 4" or "class 2:0.5,4:0.5"."""
        texts = [label_text(row) for row in self.table]
        return f"class {texts[0]}" if len(texts) == 1 else f"classes {', '.join(texts)}"


Labels = RandomLabels | GivenLabels


def uniform_labels(num_classes: int) -> RandomLabels:
    """A random class for each seed."""
    return RandomLabels(OneHot.identity(num_classes))


def one_class(label: int, num_classes: int) -> GivenLabels:
    """The class `label` for all seeds.

    Raises:
        UserError: no such class.
    """
    if not 0 <= label < num_classes:
        fix = f"Use class=0 to class={num_classes - 1}" if num_classes else "Omit class"
        raise UserError(f"class={label}", rule=f"this network has {num_classes} classes", fix=fix)
    return GivenLabels(OneHot.identity(num_classes)[torch.tensor([label])])


def parse_labels(text: str | int | None, snapshot: Snapshot) -> Labels:
    """Labels from a setting.

    None gives a random class for each seed; "dog" or "2" one class; "dog,cat" several in turn, row `seed % K`;
    "dog:0.5,cat:0.5" a vector with these entries, for mixtures and for networks with attributes.

    Raises:
        UserError: an unknown class, a network without classes, or weights that are not numbers.
    """
    num_classes = snapshot.generator.num_classes
    if text is None:
        return uniform_labels(num_classes)
    items = str(text).split(",")
    if str(text) in snapshot.info.get("class_names", []) or (len(items) == 1 and ":" not in items[0]):
        return _one(str(text), snapshot)
    if not any(":" in item for item in items):
        return GivenLabels(torch.cat([_one(item.strip(), snapshot).table for item in items]))
    row = torch.zeros(1, num_classes)
    for item in items:
        name, _, weight = item.rpartition(":")
        row = row + _weight(weight, text) * _one(name.strip(), snapshot).table
    return GivenLabels(row)


def _one(name: str, snapshot: Snapshot) -> GivenLabels:
    index = snapshot.class_index(name)
    assert index is not None
    return one_class(index, snapshot.generator.num_classes)


def _weight(text: str, setting: str | int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise UserError(
            f"class={brief(setting)}",
            rule=f"a mixture must have a weight from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g} for each class",
            fix="Use name:weight pairs, as in class=0:0.5,1:0.5",
        )
    return weight


def label_text(row: Tensor) -> str:
    """ "2" for a one-hot row [num_classes], else "2:0.5,4:0.5"."""
    entries = [(k, value) for k, value in enumerate(row.tolist()) if value]
    if len(entries) == 1 and entries[0][1] == 1:
        return str(entries[0][0])
    return ",".join(f"{k}:{value:g}" for k, value in entries) or "none"
