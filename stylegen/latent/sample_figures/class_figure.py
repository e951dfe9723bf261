"""A row per seed, a column per class: what the classes share and what the latent keeps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.captions import Captions
from stylegen.errors import UserError
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sample_labels import GivenLabels, label_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class ClassFigure(Figure):
    """Rows are seeds, columns classes or mixtures of them.

    Args:
        table: [K, num_classes], the labels of the columns.
        names: captions of the classes; None for their numbers.
    """

    table: Tensor
    names: list[str] | None = None

    def __post_init__(self) -> None:
        if not self.table.shape[1]:
            raise UserError(
                "mode=classes", rule="this network has no classes", fix="Use mode=grid, or another snapshot"
            )

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds), len(self.table)

    def cells(self, sampler: Sampler) -> Cells:
        columns = []
        for row in self.table:
            columns.append(sampler.replaced(labels=GivenLabels(row[None])).images(self.seeds))
        captions = Captions(
            rows=self.seed_rows,
            columns=[self._name(row) for row in self.table],
            note=sampling_text(sampler, labels=False),
        )
        return Cells(torch.stack(columns, dim=1).flatten(0, 1), len(self.table), captions)

    def _name(self, row: Tensor) -> str:
        text = label_text(row)
        return self.names[int(text)] if self.names and text.isdecimal() else text
