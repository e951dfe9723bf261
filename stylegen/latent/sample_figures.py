"""Single images, and figures as in the StyleGAN papers, with seeds, psi and layers along the edges: grid, truncation,
style mixing, noise, interpolation."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylegen.captions import Captions, add_captions
from stylegen.errors import UserError
from stylegen.images import MAX_FIGURE_PIXELS, PADDING, enlarged, make_grid, save_png, write_pngs
from stylegen.latent.interpolation import lerp
from stylegen.latent.sampler import Sampler, mix
from stylegen.latent.seeds import LAYER_RANGES, parse_layers

NOISE_SAMPLES = 100


@dataclass(frozen=True)
class Cells:
    """The images of a figure.

    Args:
        images: uint8 [N, C, H, W], row by row.
        columns: number of columns.
        captions: labels of rows, columns or images, and a note.
    """

    images: Tensor
    columns: int
    captions: Captions


@dataclass(frozen=True)
class SampleImages:
    """Single images, one file per seed."""

    seeds: list[int]

    def check_size(self, side: int) -> None:
        """A folder may have any size."""

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Write the new folder `path` with seed<number>.png, each pixel as a square of `scale` pixels."""
        path.mkdir()
        batches = itertools.chain.from_iterable(batch.cpu() for batch in sampler.batches(self.seeds))
        write_pngs(((path / f"seed{n:06d}.png", image) for n, image in zip(self.seeds, batches, strict=True)), scale)


@dataclass(frozen=True)
class SampleFigure:
    """A figure with one row per seed; a grid has one cell per seed.

    Args:
        mode: "grid", "truncation", "mixing", "noise" or "interpolation".
        seeds: of the rows; an interpolation has a row for each two consecutive seeds.
        columns: of a grid; None for a square.
        psis: columns of the truncation figure.
        others: seeds of the columns of the mixing figure.
        layers: styles that the mixing figure copies; see `latent.seeds.parse_layers`.
        frames: steps of an interpolation between two seeds.
        captions: print seeds, psi and layers along the edges.
    """

    mode: str
    seeds: list[int]
    columns: int | None
    psis: Sequence[float]
    others: list[int]
    layers: str
    frames: int = 8
    captions: bool = True

    def check_size(self, side: int) -> None:
        """Raise UserError for a figure that is too large for memory or PNG viewers, with cells of `side` pixels."""
        seeds = len(self.seeds)
        columns = {
            "grid": self.columns or math.ceil(math.sqrt(seeds)),
            "truncation": len(self.psis),
            "mixing": len(self.others) + 1,
            "noise": NOISE_SAMPLES,  # all are in memory at once
            "interpolation": self.frames + 1,
        }[self.mode]
        rows = -(-seeds // columns) if self.mode == "grid" else seeds + 1
        pixels = rows * columns * side**2
        if pixels > MAX_FIGURE_PIXELS:
            raise UserError(
                f"mode={self.mode} with {seeds} seeds, {columns} columns and images of {side} px",
                rule=f"it has {pixels / 1e6:,.0f} million pixels, more than {MAX_FIGURE_PIXELS / 1e6:,.0f}",
                fix="Use fewer seeds or columns, scale=1, or mode=images",
            )

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Sample the figure and write it as PNG, each pixel as a square of `scale` pixels."""
        cells = self.cells(sampler)
        image = enlarged(make_grid(cells.images, cells.columns), scale)
        if self.captions:
            image = add_captions(image, cells.images.shape[-1] * scale, PADDING * scale, cells.captions)
        save_png(image, path)

    def cells(self, sampler: Sampler) -> Cells:
        """Sample the figure."""
        return {
            "grid": self._grid,
            "truncation": self._truncation,
            "mixing": self._mixing,
            "noise": self._noise,
            "interpolation": self._interpolation,
        }[self.mode](sampler)

    def _grid(self, sampler: Sampler) -> Cells:
        columns = self.columns or math.ceil(math.sqrt(len(self.seeds)))
        return Cells(sampler.images(self.seeds), columns, self._grid_captions(columns, _sampling(sampler)))

    def _grid_captions(self, columns: int, sampling: str) -> Captions:
        """Consecutive seeds are labelled once a row, by their range; others below each image."""
        first, last = self.seeds[0], self.seeds[-1]
        if self.seeds != list(range(first, last + 1)):
            return Captions(cells=[str(seed) for seed in self.seeds], note=f"numbers are seeds, {sampling}")
        rows = [self.seeds[i : i + columns] for i in range(0, len(self.seeds), columns)]
        return Captions(rows=[_range(row) for row in rows], note=f"seeds {_range(self.seeds)}, {sampling}")

    def _seed_rows(self) -> list[str]:
        return [f"seed {seed}" for seed in self.seeds]

    def _truncation(self, sampler: Sampler) -> Cells:
        """Rows are seeds, columns psi; the sampler's cutoff applies to all."""
        ws = sampler.ws(self.seeds)
        columns = [sampler.render(ws, self.seeds, psi) for psi in self.psis]
        labels = [f"psi {psi:g}" for psi in self.psis]
        captions = Captions(rows=self._seed_rows(), columns=labels, note=_sampling(sampler, psi=False))
        return Cells(torch.stack(columns, dim=1).flatten(0, 1), len(self.psis), captions)

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
        captions = Captions(
            rows=["", *self._seed_rows()],
            columns=["", *[f"seed {seed}" for seed in others]],
            note=f"{self._named_layers(layers)} from the column, all others from the row, {_sampling(sampler)}",
        )
        return Cells(torch.cat(cells), len(others) + 1, captions)

    def _named_layers(self, layers: list[int]) -> str:
        """ "coarse styles (4-8 px, layers 0-3)" or "styles of layers 2,5"."""
        numbers = _range(layers) if layers == list(range(layers[0], layers[-1] + 1)) else ",".join(map(str, layers))
        if self.layers not in LAYER_RANGES:
            return f"styles of layers {numbers}"
        low, high = LAYER_RANGES[self.layers]
        return f"{self.layers} styles ({low}-{high} px, layers {numbers})"

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
        largest = deviation.max().clamp(min=1e-8)
        white = (deviation / largest * 255).to(torch.uint8)
        columns = [sampler.render(ws, self.seeds, noise="none"), *samples[:3], white.expand_as(samples[0])]
        captions = Captions(
            rows=self._seed_rows(),
            columns=["no noise", "noise 1", "noise 2", "noise 3", "deviation"],
            note=f"deviation over {NOISE_SAMPLES} noise samples, white is {largest:.3g} gray levels, "
            + _sampling(sampler, noise=False),
        )
        return Cells(torch.stack(columns, dim=1).flatten(0, 1), len(columns), captions)

    def _interpolation(self, sampler: Sampler) -> Cells:
        """Each row goes from a seed to the next, both included, on the line w = (1 - t) w_a + t w_b."""
        if len(self.seeds) < 2:
            raise UserError(
                "mode=interpolation with one seed", rule="a line has two ends", fix="Use two or more, as in seeds=0-3"
            )
        ws, t = sampler.ws(self.seeds), torch.linspace(0, 1, self.frames + 1, device=sampler.device)
        pairs = list(itertools.pairwise(self.seeds))
        rows = [lerp(a, b, t.to(ws.dtype)) for a, b in itertools.pairwise(ws)]
        images = sampler.render(torch.cat(rows), [a for a, _ in pairs for _ in t])
        captions = Captions(
            rows=[f"{a} to {b}" for a, b in pairs],
            columns=[f"{k / self.frames:.3g}" for k in range(self.frames + 1)],
            note=f"seeds, linear in w, {_sampling(sampler)}",
        )
        return Cells(images, self.frames + 1, captions)


def _range(numbers: Sequence[int]) -> str:
    """Consecutive numbers as settings take them: "0-7", or "3"."""
    return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def _sampling(sampler: Sampler, psi: bool = True, noise: bool = True) -> str:
    """The settings of the sampler that change the images: "psi 0.7 in layers 0-3, class 2"."""
    parts = [f"psi {sampler.psi:g}"] if psi else []
    if sampler.cutoff is not None:
        parts += [f"truncation in the first {sampler.cutoff} layers"]
    parts += [f"class {sampler.label}"] * (sampler.label is not None)
    parts += [f"noise {sampler.noise}"] * (noise and sampler.noise != "const")
    if isinstance(sampler.seed_source, Tensor):
        parts.append("numbers of latents")
    elif sampler.seed_source == "numpy":
        parts.append("NumPy's seeds")
    return ", ".join(parts)
