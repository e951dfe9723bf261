"""Draw pictures from a snapshot: single images, a grid, and the figures of truncation, style mixing and noise."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.config.settings import SampleSettings
from stylegen.device import choose_device
from stylegen.errors import UserError, unknown_choice
from stylegen.images import MAX_FIGURE_PIXELS, make_grid
from stylegen.latent.sampler import Sampler
from stylegen.latent.seeds import parse_layers, parse_seeds
from stylegen.latent.styles import mix
from stylegen.verbs.outputs import find_output, write_images

NOISE_DRAWS = 100
FIGURE_CELL_PX = 64  # figures of small pictures are enlarged to this, so that they can be looked at

Figure = tuple[Tensor, int]  # cells [N, C, H, W] and columns


@dataclass(frozen=True)
class SampleResult:
    """The files that were written, and by how much their pixels were enlarged."""

    paths: list[Path]
    resolution: int
    scale: int

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution} px, scale {self.scale}"
        if self.scale == 1 and self.resolution < FIGURE_CELL_PX:
            size += f"; scale={FIGURE_CELL_PX // self.resolution} enlarges them"
        count = "" if len(self.paths) == 1 else f"{len(self.paths)} images in "
        return f"{count}{self.paths[0] if len(self.paths) == 1 else self.paths[0].parent} ({size})"


def run(settings: SampleSettings) -> SampleResult:
    """Load the snapshot, draw what `mode` asks for, write PNGs.

    Raises:
        UserError: a bad snapshot, mode, seed, layer, class, or an output that cannot be written.
    """
    figures: dict[str, Callable[..., Figure]] = {
        "grid": _grid,
        "truncation": _truncation,
        "mixing": _mixing,
        "noise": _noise,
    }
    if settings.mode not in ("images", *figures):
        raise unknown_choice("mode", settings.mode, ("images", *figures))
    seeds = parse_seeds(settings.seeds)
    snapshot = load_snapshot(settings.snapshot)
    sampler = Sampler(
        snapshot.generator.to(choose_device(settings.device)),
        psi=settings.truncation_psi,
        cutoff=settings.truncation_cutoff,
        noise=settings.noise,
        label=_class_index(settings.label, snapshot),
        batch_size=settings.batch_size,
    )
    out = find_output(settings, snapshot)
    resolution = sampler.generator.level.resolution
    if settings.mode == "images":
        scale = settings.scale or 1
        images: Iterable[tuple[str, Tensor]] = _images(sampler, seeds)
    else:
        scale = settings.scale or max(1, FIGURE_CELL_PX // resolution)
        _check_size(settings, len(seeds), resolution * scale)
        cells, columns = figures[settings.mode](settings, sampler, seeds)
        images = [("", make_grid(cells, columns))]
    return SampleResult(write_images(images, out, scale, keep_both=settings.out is None), resolution, scale)


def _class_index(label: str | None, snapshot: Snapshot) -> int | None:
    """The class that `class=` names; a number is an index, whatever the classes are called."""
    if label is None or re.fullmatch(r"-?\d{1,9}", label):
        return None if label is None else int(label)
    names = snapshot.info.get("class_names")
    if not isinstance(names, list):
        raise UserError(
            f"class={label}", rule="this snapshot does not record the names of its classes", fix="Use their index"
        )
    if label not in names:
        raise unknown_choice("class", label, map(str, names))
    return names.index(label)


def _images(sampler: Sampler, seeds: list[int]) -> Iterator[tuple[str, Tensor]]:
    names = (f"seed{seed:06d}.png" for seed in seeds)
    for batch in sampler.batches(seeds):
        yield from zip(itertools.islice(names, len(batch)), batch, strict=True)


def _grid(settings: SampleSettings, sampler: Sampler, seeds: list[int]) -> Figure:
    return sampler.images(seeds), settings.columns or math.ceil(math.sqrt(len(seeds)))


def _truncation(settings: SampleSettings, sampler: Sampler, seeds: list[int]) -> Figure:
    """Rows seeds, columns psi; the cutoff, if any, holds for all."""
    ws = sampler.ws(seeds)
    columns = [sampler.render(ws, seeds, psi) for psi in settings.psis]
    return torch.stack(columns, dim=1).flatten(0, 1), len(settings.psis)


def _mixing(settings: SampleSettings, sampler: Sampler, seeds: list[int]) -> Figure:
    """Sources along both edges; each cell is its row's picture with `layers` from its column's (figure 3)."""
    generator = sampler.generator
    if generator.num_ws == 1:
        raise UserError(
            "mode=mixing",
            rule="this network has no styles to mix: its latent enters once, at the input",
            fix="Use another mode, or a network whose layers are told w (generator.conditioning=adain, say)",
        )
    layers = parse_layers(settings.layers, generator.level.resolution, generator.num_active_ws)
    others = parse_seeds(settings.mix_seeds, "mix_seeds")
    rows, columns = sampler.ws(seeds), sampler.ws(others)
    top, left = sampler.render(columns, others), sampler.render(rows, seeds)
    cells = [torch.full_like(top[:1], 255), top]
    for i, seed in enumerate(seeds):
        mixed = mix(rows[i : i + 1].expand_as(columns), columns, layers)
        cells += [left[i : i + 1], sampler.render(mixed, [seed] * len(others))]
    return torch.cat(cells), len(others) + 1


def _noise(settings: SampleSettings, sampler: Sampler, seeds: list[int]) -> Figure:
    """Rows seeds; columns: without noise, three draws of it, and the deviation over many draws (figures 4 and 5).

    The deviation is that of grey values, scaled so that the figure's largest is white.
    """
    ws = sampler.ws(seeds)
    draws = [sampler.render(ws, [draw] * len(seeds), noise="random") for draw in range(NOISE_DRAWS)]
    deviation = torch.stack(draws).float().mean(dim=2, keepdim=True).std(dim=0)
    white = (deviation / deviation.max().clamp(min=1e-8) * 255).to(torch.uint8)
    columns = [sampler.render(ws, seeds, noise="none"), *draws[:3], white.expand_as(draws[0])]
    return torch.stack(columns, dim=1).flatten(0, 1), len(columns)


def _check_size(settings: SampleSettings, seeds: int, side: int) -> None:
    """Refuse a figure too large for a PNG viewer, or for memory, before anything is sampled."""
    others = len(parse_seeds(settings.mix_seeds, "mix_seeds"))
    columns = {
        "grid": settings.columns or math.ceil(math.sqrt(seeds)),
        "truncation": len(settings.psis),
        "mixing": others + 1,
        "noise": NOISE_DRAWS,  # all are in memory at once
    }[settings.mode]
    rows = -(-seeds // columns) if settings.mode == "grid" else seeds + 1
    pixels = rows * columns * side**2
    if pixels > MAX_FIGURE_PIXELS:
        raise UserError(
            f"mode={settings.mode} with {seeds} seeds, {columns} columns and images of {side} px",
            rule=f"it would have {pixels / 1e6:,.0f} million pixels, of at most {MAX_FIGURE_PIXELS / 1e6:,.0f}",
            fix="Use fewer seeds or columns, scale=1, or mode=images",
        )
