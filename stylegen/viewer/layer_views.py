"""Feature maps and noise inputs of each layer, as thumbnails."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylegen.bounds import Range
from stylegen.images import make_grid
from stylegen.latent.noise_inputs import scaled_noise, stored_noise
from stylegen.networks import StyleGenerator
from stylegen.viewer.inference import Job
from stylegen.viewer.page_state import PageState, parse
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.wire import Answer, encode_image

CELL = 64  # pixels of a thumbnail
MAX_MAPS = 48  # of one layer
_LAYER = re.compile(r"blocks\.\d+\.(?:conv|layer)[01]|layers\.\d+")  # StyleGAN and StyleGAN2, StyleGAN3


@dataclass(frozen=True)
class LayerOptions:
    """Which thumbnails: None for the mean of each layer's maps, else the maps of one layer."""

    layer: Annotated[int, Range(0, 63)] | None = None


@torch.no_grad()
def layers(job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
    """A row of layers and, for networks with noise, a row of their noise inputs; or the maps of one layer.

    Each thumbnail is scaled to its own range.
    """
    options, still, G = parse(LayerOptions, rest, "layers"), state.still, renderer.generator
    noise = scaled_noise(G, [still.seed], still.noise, still.noise_strength)
    names, maps = feature_maps(G, renderer.ws(still), noise)
    job.pause()
    listed = [f"{name}, {len(map_)} maps" for name, map_ in zip(names, maps, strict=True)]
    if options.layer is not None:
        found = maps[min(options.layer, len(maps) - 1)]
        strongest = found.flatten(1).std(dim=1).argsort(descending=True)[:MAX_MAPS].sort().values
        cells = [found[k] for k in strongest.tolist()]
        captions = [f"map {k}" for k in strongest.tolist()]
    else:
        cells, captions = [map_.abs().mean(dim=0) for map_ in maps], listed
        inputs = stored_noise(G) if noise == "const" else noise
        if stored_noise(G) and not isinstance(inputs, str):
            cells += [n[0, 0] for n in inputs]
            captions += [f"noise, {n.shape[-1]} px" for n in inputs]
    sheet = make_grid(thumbnails(cells), 8, padding=0)
    return job.answer(
        "layers", encode_image(sheet, "png"), columns=8, side=CELL, names=captions, layer=options.layer, layers=listed
    )


def feature_maps(generator: StyleGenerator, ws: Tensor, noise: Any) -> tuple[list[str], list[Tensor]]:
    """Name and output [C, H, W] of each styled convolution, in order, for one image."""
    names: list[str] = []
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        names.append(f"{output.shape[-1]} px")
        maps.append(output[0].float())

    found = [m for name, m in generator.synthesis.named_modules() if _LAYER.fullmatch(name)]
    hooks = [module.register_forward_hook(keep) for module in found]
    try:
        generator.synthesis(ws, noise)
    finally:
        for hook in hooks:
            hook.remove()
    return [f"layer {k}, {name}" for k, name in enumerate(names)], maps


def thumbnails(maps: Sequence[Tensor]) -> Tensor:
    """Maps [H, W] of any sizes -> uint8 [N, 1, CELL, CELL], each from its lowest (black) to its highest value."""
    cells = []
    for values in maps:
        low, high = values.min(), values.max()
        gray = ((values - low) / (high - low).clamp(min=1e-12) * 255).round()
        mode = "nearest" if values.shape[-1] <= CELL else "area"
        cells.append(functional.interpolate(gray[None, None].cpu(), size=(CELL, CELL), mode=mode)[0])
    return torch.stack(cells).to(torch.uint8)
