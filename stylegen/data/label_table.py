"""Labels as training wants them: one row of float32 a picture."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen.data.prepare.metadata import MAX_CLASSES, Label
from stylegen.errors import UserError
from stylegen.one_hot import OneHot


class LabelTable:
    """One-hot rows of class indices, or vectors as they are (several classes at once, attributes).

    Args:
        labels: one for each picture, all of one kind.
        class_names: of the classes, or of the entries of the vectors; rare classes may have no picture.
        where: the dataset, for errors.

    Attributes:
        num_classes: width of a row.
        table: the rows.

    Raises:
        UserError: fewer names than classes, or too many.
    """

    def __init__(self, labels: Sequence[Label], class_names: list[str] | None, where: str) -> None:
        first = labels[0]
        if isinstance(first, tuple):
            self.table: Tensor | OneHot = torch.tensor(labels, dtype=torch.float32)
            self.num_classes = len(first)
            found = f"vectors of {len(first)} numbers"
        else:
            indices = torch.tensor(labels, dtype=torch.int64)
            self.num_classes = int(indices.max()) + 1
            self.table = OneHot(indices, self.num_classes)
            found = f"class {self.num_classes - 1}"
        if class_names is None:
            return
        if len(class_names) > MAX_CLASSES:
            raise UserError(
                f"{where} has {len(class_names)} class_names",
                rule=f"at most {MAX_CLASSES} classes, each of which is a row of an embedding",
                fix="Remove those that no image has",
            )
        if len(class_names) < self.num_classes or (isinstance(first, tuple) and len(class_names) > self.num_classes):
            raise UserError(
                f"{where} has {found}, and {len(class_names)} class_names",
                rule="each class has a name, in the order of the indices",
                fix="Complete class_names in dataset.json, or remove them",
            )
        self.num_classes = len(class_names)
        if isinstance(self.table, OneHot):
            self.table = OneHot(self.table.indices, self.num_classes)

    def rows(self, numbers: Tensor) -> Tensor:
        """float32 [N, num_classes] for the pictures with these numbers."""
        return self.table[numbers]

    def to(self, device: torch.device) -> None:
        """Keep the table there."""
        self.table = self.table.to(device)
