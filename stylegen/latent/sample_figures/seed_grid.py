"""One image per seed, row by row."""

import math
from dataclasses import dataclass

from stylegen.captions import Captions
from stylegen.latent.sample_figures.figure import Cells, Figure, range_text, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class SeedGrid(Figure):
    """One image per seed.

    Args:
        columns: None for a square.
    """

    columns: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        columns = self.columns or math.ceil(math.sqrt(len(self.seeds)))
        return -(-len(self.seeds) // columns), columns

    def cells(self, sampler: Sampler) -> Cells:
        """See `Figure`. Consecutive seeds are labeled once a row, by their range; others below each image."""
        seeds, (_, columns), sampling = self.seeds, self.size, sampling_text(sampler)
        rows = [seeds[i : i + columns] for i in range(0, len(seeds), columns)]
        captions = Captions(rows=[range_text(row) for row in rows], note=f"seeds {range_text(seeds)}, {sampling}")
        if seeds != list(range(seeds[0], seeds[-1] + 1)):
            captions = Captions(cells=[str(seed) for seed in seeds], note=f"numbers are seeds, {sampling}")
        return Cells(sampler.images(seeds), columns, captions)
