"""A part of a dataset: some classes, a number of pictures, or both."""

from collections.abc import Sequence

from stylegen.data.prepare.metadata import Label
from stylegen.errors import UserError, unknown_choice
from stylegen.randomness import permutation


def choose(
    labels: Sequence[Label | None],
    class_names: list[str] | None,
    classes: Sequence[str | int] | None,
    max_images: int | None,
    seed: int,
) -> list[int]:
    """Numbers of the pictures that are used, in their order.

    Args:
        labels: of all pictures.
        class_names: in the order of the class indices, if the dataset has them.
        classes: names or indices; pictures of any of them, for vectors those with an entry above 0. None takes all.
        max_images: at most so many of these, drawn with `seed`: every larger number with the same seed holds the
            smaller ones.

    Raises:
        UserError: no such class; classes of a dataset without labels; no picture that is left.
    """
    numbers = list(range(len(labels)))
    if classes is not None:
        wanted = {_index(name, class_names) for name in classes}
        numbers = [number for number in numbers if _belongs(labels[number], wanted)]
    if not numbers:
        raise UserError(
            f"data.classes={list(classes or [])}",
            rule="no picture belongs to these classes",
            fix="Use other classes, or leave the setting out",
        )
    if max_images is None:
        return numbers
    if max_images < 1:
        raise UserError(f"data.max_images={max_images}", rule="it is at least 1", fix="Leave it out to use all")
    order = permutation(len(numbers), seed, "data/subset").tolist()[:max_images]
    return [numbers[i] for i in sorted(order)]


def _index(name: str | int, class_names: list[str] | None) -> int:
    if class_names is not None and str(name) in class_names:
        return class_names.index(str(name))
    if str(name).isdecimal():
        return int(name)
    raise unknown_choice("data.classes", name, class_names or [])


def _belongs(label: Label | None, wanted: set[int]) -> bool:
    if label is None:
        raise UserError(
            "data.classes of a dataset without labels",
            rule="classes are known by the labels of the pictures",
            fix="Leave data.classes out, or prepare the dataset with labels=folders|FILE.csv|FILE.json",
        )
    if isinstance(label, int):
        return label in wanted
    return any(number < len(label) and label[number] > 0 for number in wanted)
