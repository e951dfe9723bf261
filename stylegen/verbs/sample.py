"""Draw pictures from a snapshot: single images, a grid, and the figures of truncation, style mixing and noise."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.errors import UserError, unknown_choice
from stylegen.images import make_grid, write_png
from stylegen.latent.mixing import mix
from stylegen.latent.sampler import Sampler
from stylegen.latent.seeds import parse_layers, parse_seeds
from stylegen.verbs.device import choose_device

NOISE_DRAWS = 100
FIGURE_CELL_PX = 64  # figures of small pictures are enlarged to this, so that they can be looked at


@dataclass(frozen=True)
class SampleResult:
    """The files that were written."""

    paths: list[Path]

    def __str__(self) -> str:
        if len(self.paths) == 1:
            return f"{self.paths[0]}"
        return f"{len(self.paths)} pictures in {self.paths[0].parent}"


def run(config: DictConfig) -> SampleResult:
    """Load the snapshot, draw what `mode` asks for, write PNGs.

    Raises:
        UserError: a bad snapshot, mode, seed, layer, class, or an output that cannot be written.
    """
    modes: dict[str, Callable[..., SampleResult]] = {
        "images": _images,
        "grid": _grid,
        "truncation": _truncation,
        "mixing": _mixing,
        "noise": _noise,
    }
    if config.mode not in modes:
        raise unknown_choice("mode", config.mode, modes)
    seeds = parse_seeds(config.seeds)
    _check(config)
    snapshot = load_snapshot(config.snapshot)
    sampler = Sampler(
        snapshot.generator.to(choose_device(config.device)),
        psi=config.truncation_psi,
        cutoff=config.truncation_cutoff,
        noise=config.noise,
        label=_class_index(config.label, snapshot),
        batch_size=config.batch_size,
    )
    return modes[config.mode](config, sampler, seeds, _output(config, snapshot))


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


def _images(config: DictConfig, sampler: Sampler, seeds: list[int], out: Path) -> SampleResult:
    paths = [out / f"seed{seed:06d}.png" for seed in seeds]
    start = 0
    for batch in sampler.batches(seeds):
        for path, image in zip(paths[start:], batch, strict=False):
            write_png(path, image, config.scale or 1)
        start += len(batch)
    return SampleResult(paths)


def _grid(config: DictConfig, sampler: Sampler, seeds: list[int], out: Path) -> SampleResult:
    columns = config.columns or math.ceil(math.sqrt(len(seeds)))
    return _write_figure(config, sampler.images(seeds), columns, out)


def _truncation(config: DictConfig, sampler: Sampler, seeds: list[int], out: Path) -> SampleResult:
    """Rows seeds, columns psi; the cutoff, if any, holds for all."""
    ws = sampler.ws(seeds)
    columns = [sampler.render(ws, seeds, psi) for psi in config.psis]
    cells = torch.stack(columns, dim=1).flatten(0, 1)
    return _write_figure(config, cells, len(config.psis), out)


def _mixing(config: DictConfig, sampler: Sampler, seeds: list[int], out: Path) -> SampleResult:
    """Sources along both edges; each cell is its row's picture with `layers` from its column's (figure 3)."""
    generator = sampler.generator
    if generator.num_ws == 1:
        raise UserError(
            "mode=mixing",
            rule="this network has no styles to mix: its latent enters once, at the input",
            fix="Use another mode, or a network whose layers are told w (generator.conditioning=adain, say)",
        )
    layers = parse_layers(config.layers, generator.level.resolution, generator.num_active_ws)
    others = parse_seeds(config.mix_seeds, "mix_seeds")
    rows, columns = sampler.ws(seeds), sampler.ws(others)
    top, left = sampler.render(columns, others), sampler.render(rows, seeds)
    cells = [torch.full_like(top[:1], 255), top]
    for i, seed in enumerate(seeds):
        mixed = mix(rows[i : i + 1].expand_as(columns), columns, layers)
        cells += [left[i : i + 1], sampler.render(mixed, [seed] * len(others))]
    return _write_figure(config, torch.cat(cells), len(others) + 1, out)


def _noise(config: DictConfig, sampler: Sampler, seeds: list[int], out: Path) -> SampleResult:
    """Rows seeds; columns: without noise, three draws of it, and the deviation over many draws (figures 4 and 5).

    The deviation is that of grey values, scaled so that the figure's largest is white.
    """
    ws = sampler.ws(seeds)
    draws = [sampler.render(ws, [draw] * len(seeds), noise="random") for draw in range(NOISE_DRAWS)]
    deviation = torch.stack(draws).float().mean(dim=2, keepdim=True).std(dim=0)
    white = (deviation / deviation.max().clamp(min=1e-8) * 255).to(torch.uint8)
    columns = [sampler.render(ws, seeds, noise="none"), *draws[:3], white.expand_as(draws[0])]
    return _write_figure(config, torch.stack(columns, dim=1).flatten(0, 1), len(columns), out)


def _write_figure(config: DictConfig, cells: Tensor, columns: int, out: Path) -> SampleResult:
    scale = config.scale or max(1, FIGURE_CELL_PX // cells.shape[-1])
    write_png(out, make_grid(cells, columns), scale)
    return SampleResult([out])


def _check(config: DictConfig) -> None:
    for setting in ("scale", "columns"):
        value = config[setting]
        if value is not None and value < 1:
            raise UserError(f"{setting}={value}", rule="it is at least 1", fix=f"Leave {setting} out or use 1 or more")
    if not config.psis:
        raise UserError("psis=[]", rule="the truncation figure has at least one column", fix="Use psis=[-1,0,1]")


def _output(config: DictConfig, snapshot: Snapshot) -> Path:
    """Where to write; a parent that cannot be written is refused before anything is drawn."""
    if config.out is not None:
        out = Path(config.out).expanduser()
    else:
        folder = snapshot.path.parent
        folder = folder.parent if folder.name == "snapshots" else folder
        out = folder / "sampled" / (config.mode if config.mode == "images" else f"{config.mode}.png")
    if config.mode != "images" and out.suffix.lower() != ".png":
        raise UserError(f"out={out}", rule=f"mode={config.mode} writes one PNG file", fix=f"Use out={out}.png")
    existing = out
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    folder_needed = existing != out or config.mode == "images"
    if (folder_needed and not existing.is_dir()) or not os.access(existing, os.W_OK):
        raise UserError(f"out={out}", rule=f"{existing} cannot be written to", fix="Name a place that you may write to")
    return out
