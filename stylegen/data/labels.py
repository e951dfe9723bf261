"""Labels of a dataset in memory: the table of rows for training, and the selection of images by class and number."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen.data.metadata import MAX_CLASSES, Label
from stylegen.errors import UserError, unknown_choice
from stylegen.one_hot import OneHot
from stylegen.randomness import permutation


def label_table(labels: Sequence[Label], class_names: list[str] | None, where: str) -> Tensor | OneHot:
    """One row per image: one-hot for class indices, vectors (attributes, several classes at once) as they are.

    Args:
        labels: one for each image, all of one kind.
        class_names: names of the classes, or of the entries of the vectors; a class may have no images.
        where: the dataset, for errors.

    Raises:
        UserError: fewer names than classes, or too many.
    """
    first = labels[0]
    table = torch.tensor(labels, dtype=torch.float32 if isinstance(first, tuple) else torch.int64)
    width = len(first) if isinstance(first, tuple) else int(table.max()) + 1
    count = width if class_names is None else len(class_names)
    if class_names is not None and count > MAX_CLASSES:
        raise UserError(
            f"{where} has {count} class_names",
            rule=f"at most {MAX_CLASSES} classes, because each is a row of an embedding",
            fix="Remove the names of classes without images",
        )
    if count < width or (isinstance(first, tuple) and count > width):
        found = f"vectors of {width} numbers" if isinstance(first, tuple) else f"class {width - 1}"
        raise UserError(
            f"{where} has {found}, and {count} class_names",
            rule="each class must have a name, in the order of the indices",
            fix="Complete class_names in dataset.json, or remove them",
        )
    return table if isinstance(first, tuple) else OneHot(table, count)


def select(
    labels: Sequence[Label | None],
    class_names: list[str] | None,
    classes: Sequence[str | int] | None,
    max_images: int | None,
    seed: int,
    setting: str = "data.classes",
) -> list[int]:
    """Numbers of the images to use, in ascending order.

    Args:
        labels: one entry per image; None for an image without a label.
        class_names: names in the order of the class indices; None if the dataset has none.
        classes: names or indices. Selects images of these classes, or with one of these entries of the vector
            above 0. None selects all.
        max_images: size of a random subset of these; larger subsets with the same seed contain smaller ones.
        setting: name of the setting with the classes, for error messages.

    Raises:
        UserError: an unknown class; `classes` for a dataset without labels; an empty selection.
    """
    numbers = list(range(len(labels)))
    if classes is not None:
        wanted = {_class_index(name, class_names, setting) for name in classes}
        numbers = [number for number in numbers if _belongs(labels[number], wanted, setting)]
    if not numbers:
        raise UserError(
            f"{setting}={list(classes or [])}",
            rule="no image belongs to these classes",
            fix="Use other classes, or omit the setting",
        )
    if max_images is None:
        return numbers
    if max_images < 1:
        raise UserError(f"data.max_images={max_images}", rule="must be at least 1", fix="Omit it to use all")
    order = permutation(len(numbers), seed, "data/subset").tolist()[:max_images]
    return [numbers[i] for i in sorted(order)]


def labeled_rows(table: Tensor | OneHot, count: int, seed: int) -> Tensor:
    """Numbers of a random choice of `count` labeled images: int64 [count], ascending.

    The same number of each class, one more of some, unless a class has fewer images. Labels that are vectors are chosen
    regardless of their values. Larger choices with the same seed contain smaller ones.

    Raises:
        UserError: fewer images than `count`.
    """
    if count > len(table):
        raise UserError(
            f"data.labeled={count}",
            rule=f"must be at most the number of images, {len(table)}",
            fix="Omit it to use all labels",
        )
    # The key keeps its former spelling: another key chooses other images.
    order, rounds = permutation(len(table), seed, "data/labelled").tolist(), Counter[int]()
    classes = table.indices.tolist() if isinstance(table, OneHot) else [0] * len(table)
    ranked = []
    for position, number in enumerate(order):
        ranked.append((rounds[classes[number]], position, number))
        rounds[classes[number]] += 1
    return torch.tensor(sorted(number for _, _, number in sorted(ranked)[:count]))


def _class_index(name: str | int, class_names: list[str] | None, setting: str) -> int:
    if class_names is not None and str(name) in class_names:
        return class_names.index(str(name))
    if str(name).isdecimal():
        return int(name)
    raise unknown_choice(setting, name, class_names or [])


def _belongs(label: Label | None, wanted: set[int], setting: str) -> bool:
    if label is None:
        raise UserError(
            f"{setting} for a dataset without labels",
            rule="classes are selected by the labels of the images",
            fix=f"Omit {setting}, or prepare the dataset with labels=folders|FILE.csv|FILE.json",
        )
    if isinstance(label, int):
        return label in wanted
    return any(number < len(label) and label[number] > 0 for number in wanted)
