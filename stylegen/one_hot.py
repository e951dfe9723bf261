"""One-hot labels stored as class indices."""

import torch
from torch import Tensor
from torch.nn import functional


class OneHot:
    """A table of one-hot labels, float32 [M, num_classes], stored as indices and indexed by row.

    The dense table would take 4 M num_classes bytes, 5 GB for ImageNet.

    Args:
        indices: int64 [M], the class of each row.
        num_classes: width of a row.
    """

    def __init__(self, indices: Tensor, num_classes: int) -> None:
        self.indices, self.num_classes = indices, num_classes

    @classmethod
    def identity(cls, num_classes: int) -> "OneHot":
        """One row for each class: `torch.eye`."""
        return cls(torch.arange(num_classes), num_classes)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.indices), self.num_classes

    @property
    def device(self) -> torch.device:
        return self.indices.device

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """float32 [N, num_classes] for int64 [N]."""
        return functional.one_hot(self.indices[rows], self.num_classes).float()

    def to(self, device: torch.device) -> "OneHot":
        return OneHot(self.indices.to(device), self.num_classes)

    def dense(self) -> Tensor:
        """float32 [M, num_classes]."""
        return self[torch.arange(len(self), device=self.device)]


def members(table: Tensor | OneHot, label: int) -> Tensor:
    """Indices of a class's rows: int64 [K], ascending."""
    belongs = table.indices == label if isinstance(table, OneHot) else table[:, label] > 0
    return torch.nonzero(belongs)[:, 0]
