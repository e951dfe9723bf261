"""The truncation figure: a row per seed, a column per psi (Karras et al. 2019, figure 8)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stylegen.captions import Captions
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class TruncationFigure(Figure):
    """Rows are seeds, columns psi; the sampler's cutoff applies to all.

    Args:
        psis: psi of each column.
    """

    psis: Sequence[float]

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds), len(self.psis)

    def cells(self, sampler: Sampler) -> Cells:
        ws = sampler.ws(self.seeds)
        columns = [sampler.render(ws, self.seeds, psi) for psi in self.psis]
        labels, note = [f"psi {psi:g}" for psi in self.psis], sampling_text(sampler, psi=False)
        captions = Captions(rows=self.seed_rows, columns=labels, note=note)
        return Cells(torch.stack(columns, dim=1).flatten(0, 1), len(self.psis), captions)
