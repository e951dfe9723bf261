"""Walks along directions of w: a column per strength, a row per direction and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from stylegen.captions import Captions
from stylegen.latent.directions_file import Directions
from stylegen.latent.mixing import layers_text
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class DirectionFigure(Figure):
    """Rows go through the seeds, direction by direction. Styles are truncated first, then moved.

    Args:
        directions: vectors in w of this network.
        indices: numbers of the directions to show.
        strengths: one per column, in standard deviations of w along the direction.
        layers: styles that are moved, with weights; None for the directions' own, with weight 1.
    """

    directions: Directions
    indices: Sequence[int]
    strengths: Sequence[float]
    layers: Mapping[int, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        return len(self.indices) * len(self.seeds), len(self.strengths)

    def cells(self, sampler: Sampler) -> Cells:
        ws = sampler.truncated_ws(self.seeds)
        blocks = []
        for index in self.indices:
            moved = self.directions.walk(ws, index, self.strengths, self.layers).transpose(0, 1).flatten(0, 1)
            blocks.append(sampler.render(moved, [seed for seed in self.seeds for _ in self.strengths], psi=1))
        layers = dict.fromkeys(self.directions.layers, 1.0) if self.layers is None else self.layers
        captions = Captions(
            rows=[f"{self.directions.names[i]}, seed {seed}" for i in self.indices for seed in self.seeds],
            columns=[f"{strength:+g}" if strength else "0" for strength in self.strengths],
            note=f"{layers_text('', layers)}, strengths in standard deviations of w, {sampling_text(sampler)}",
        )
        return Cells(torch.cat(blocks), len(self.strengths), captions)
