"""Figures as in the StyleGAN papers: grid, truncation, style mixing, noise; each as cells [N, C, H, W] and columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.images import MAX_FIGURE_PIXELS
from stylegen.latent.sampler import Sampler, mix
from stylegen.latent.seeds import parse_layers

NOISE_SAMPLES = 100

Cells = tuple[Tensor, int]  # uint8 [N, C, H, W], and the number of columns


@dataclass(frozen=True)
class SampleFigure:
    """A figure with one row per seed; a grid has one cell per seed.

    Args:
        mode: "grid", "truncation", "mixing" or "noise".
        seeds: of the rows.
        columns: of a grid; None for a square.
        psis: columns of the truncation figure.
        others: seeds of the columns of the mixing figure.
        layers: styles that the mixing figure copies; see `latent.seeds.parse_layers`.
    """

    mode: str
    seeds: list[int]
    columns: int | None
    psis: Sequence[float]
    others: list[int]
    layers: str

    def check_size(self, side: int) -> None:
        """Raise UserError for a figure that is too large for memory or PNG viewers, with cells of `side` pixels."""
        seeds = len(self.seeds)
        columns = {
            "grid": self.columns or math.ceil(math.sqrt(seeds)),
            "truncation": len(self.psis),
            "mixing": len(self.others) + 1,
            "noise": NOISE_SAMPLES,  # all are in memory at once
        }[self.mode]
        rows = -(-seeds // columns) if self.mode == "grid" else seeds + 1
        pixels = rows * columns * side**2
        if pixels > MAX_FIGURE_PIXELS:
            raise UserError(
                f"mode={self.mode} with {seeds} seeds, {columns} columns and images of {side} px",
                rule=f"it has {pixels / 1e6:,.0f} million pixels, more than {MAX_FIGURE_PIXELS / 1e6:,.0f}",
                fix="Use fewer seeds or columns, scale=1, or mode=images",
            )

    def cells(self, sampler: Sampler) -> Cells:
        """Sample the figure."""
        figures = {"grid": self._grid, "truncation": self._truncation, "mixing": self._mixing, "noise": self._noise}
        return figures[self.mode](sampler)

    def _grid(self, sampler: Sampler) -> Cells:
        return sampler.images(self.seeds), self.columns or math.ceil(math.sqrt(len(self.seeds)))

    def _truncation(self, sampler: Sampler) -> Cells:
        """Rows are seeds, columns psi; the sampler's cutoff applies to all."""
        ws = sampler.ws(self.seeds)
        columns = [sampler.render(ws, self.seeds, psi) for psi in self.psis]
        return torch.stack(columns, dim=1).flatten(0, 1), len(self.psis)

    def _mixing(self, sampler: Sampler) -> Cells:
        """Sources in the first row and column; each cell is the row's image with the column's `layers` (figure 3)."""
        generator, seeds, others = sampler.generator, self.seeds, self.others
        if generator.num_ws == 1:
            raise UserError(
                "mode=mixing",
                rule="this network has no styles to mix: it uses the latent only at its input",
                fix="Use another mode, or a network whose layers are conditioned on w (generator.conditioning=adain)",
            )
        layers = parse_layers(self.layers, generator.level.resolution, generator.num_active_ws)
        rows, columns = sampler.ws(seeds), sampler.ws(others)
        top, left = sampler.render(columns, others), sampler.render(rows, seeds)
        cells = [torch.full_like(top[:1], 255), top]
        for i, seed in enumerate(seeds):
            mixed = mix(rows[i : i + 1].expand_as(columns), columns, layers)
            cells += [left[i : i + 1], sampler.render(mixed, [seed] * len(others))]
        return torch.cat(cells), len(others) + 1

    def _noise(self, sampler: Sampler) -> Cells:
        """Rows are seeds; columns: no noise, three noise samples, deviation over 100 samples (figures 4 and 5).

        The deviation of gray values is scaled by the figure's maximum, which is white.

        Raises:
            UserError: a network without noise inputs.
        """
        if not sampler.generator.settings["use_noise"]:
            raise UserError(
                "mode=noise",
                rule="this network was trained with generator.use_noise=false",
                fix="Use mode=grid, mixing or truncation, or another snapshot",
            )
        ws = sampler.ws(self.seeds)
        samples = [sampler.render(ws, [number] * len(self.seeds), noise="random") for number in range(NOISE_SAMPLES)]
        deviation = torch.stack(samples).float().mean(dim=2, keepdim=True).std(dim=0)
        white = (deviation / deviation.max().clamp(min=1e-8) * 255).to(torch.uint8)
        columns = [sampler.render(ws, self.seeds, noise="none"), *samples[:3], white.expand_as(samples[0])]
        return torch.stack(columns, dim=1).flatten(0, 1), len(columns)
