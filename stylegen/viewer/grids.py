"""Grids whose cells can be picked, the map around a seed, keyframes: sheets of images, with each cell's change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from stylegen.errors import UserError
from stylegen.images import make_grid
from stylegen.viewer.inference import Job
from stylegen.viewer.page_state import PageState, Still
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.wire import Answer, encode_image

SIDE = 6  # cells of a grid, in both directions
PSIS = (-1.0, -0.5, 0.0, 0.5, 0.7, 1.0)
MAP_SIDE, MAP_REACH = 7, 1.5  # cells of the map, and the largest |x| and |y|
MAX_CELL = 128  # pixels of a cell in a sheet
_BATCH, _BATCH_PIXELS = 6, 2**17  # images between two pauses, and their pixels

Cell = tuple[Still, dict[str, Any], str]  # a still, the fields that it changes, its name


def grid(job: Job, state: PageState, renderer: Renderer) -> Answer:
    """The sheet of `state.grid`: seeds; seeds (rows) with styles of others (columns); seeds with several psi."""
    cells = {"seeds": _seeds, "mixing": _mixing, "truncation": _truncation}[state.grid](state.still, renderer)
    return _sheet(job, renderer, cells, SIDE, "grid", grid=state.grid)


def walking_map(job: Job, state: PageState, renderer: Renderer) -> Answer:
    """The sheet of the plane around the seed, row by row; x grows to the right, y downwards."""
    steps = [round(MAP_REACH * (2 * k / (MAP_SIDE - 1) - 1), 4) for k in range(MAP_SIDE)]
    cells = [(replace(state.still, x=x, y=y), {"x": x, "y": y}, f"{x:g}, {y:g}") for y in steps for x in steps]
    return _sheet(job, renderer, cells, MAP_SIDE, "map", reach=MAP_REACH)


def keyframes(job: Job, state: PageState, renderer: Renderer) -> Answer:
    """The sheet of the keyframes, in one row.

    Raises:
        UserError: no keyframe.
    """
    if not state.keyframes:
        raise UserError("no keyframes", rule="the sheet needs at least one", fix="Add a keyframe")
    cells: list[Cell] = [(keyframe.still, {}, f"{keyframe.seconds:g} s") for keyframe in state.keyframes]
    return _sheet(job, renderer, cells, len(cells), "keyframes")


def _seeds(still: Still, renderer: Renderer) -> list[Cell]:
    found = []
    for seed in range(still.seed, still.seed + SIDE**2):
        change: dict[str, Any] = {"seed": seed, "source": None, "x": 0.0, "y": 0.0}
        found.append((replace(still, **change), change, f"seed {seed}"))
    return found


def _mixing(still: Still, renderer: Renderer) -> list[Cell]:
    """Rows are seeds, columns other seeds; without a selection of layers, the coarse half comes from the columns."""
    slots = renderer.generator.num_active_ws
    mixed = still.mixed or tuple(range(slots // 2))
    found = []
    for row in range(SIDE):
        for column in range(SIDE):
            change: dict[str, Any] = {"seed": still.seed + row, "mix_seed": still.mix_seed + column}
            change |= {"source": None, "mix_source": None, "mixed": mixed}
            name = f"seed {change['seed']} with styles of seed {change['mix_seed']}"
            found.append((replace(still, **change), change | {"mixed": list(mixed)}, name))
    return found


def _truncation(still: Still, renderer: Renderer) -> list[Cell]:
    found = []
    for row in range(SIDE):
        for psi in PSIS:
            change: dict[str, Any] = {"seed": still.seed + row, "source": None, "psi": psi}
            found.append((replace(still, **change), change, f"seed {still.seed + row}, psi {psi:g}"))
    return found


def _sheet(job: Job, renderer: Renderer, cells: Sequence[Cell], columns: int, kind: str, **fields: Any) -> Answer:
    stills = [still for still, _, _ in cells]
    batch = max(1, min(_BATCH, _BATCH_PIXELS // renderer.generator.level.resolution**2))
    parts = []
    for start in range(0, len(stills), batch):
        parts.append(_reduced(renderer.images(stills[start : start + batch]).cpu()))
        job.pause()
    images = torch.cat(parts)
    return job.answer(
        kind,
        encode_image(make_grid(images, columns, padding=0), "jpeg"),
        columns=columns,
        side=images.shape[-1],
        cells=[{"change": change, "name": name} for _, change, name in cells],
        **fields,
    )


def _reduced(images: torch.Tensor) -> torch.Tensor:
    factor = images.shape[-1] // MAX_CELL
    return torch.nn.functional.avg_pool2d(images.float(), factor).round().to(torch.uint8) if factor > 1 else images
