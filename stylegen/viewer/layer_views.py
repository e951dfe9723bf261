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
# StyleGAN and StyleGAN2, StyleGAN3, R3GAN
_LAYER = re.compile(r"blocks\.\d+\.(?:conv|layer)[01]|layers\.\d+|blocks\.\d+\.layers\.\d+")


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
    listed, maps = feature_maps(G, renderer.ws(still), noise, options.layer)
    job.pause()
    if options.layer is not None:
        found = torch.stack(maps)
        strongest = found.flatten(1).std(dim=1).argsort(descending=True)[:MAX_MAPS].sort().values
        cells = [found[k] for k in strongest.tolist()]
        captions = [f"map {k}" for k in strongest.tolist()]
    else:
        cells, captions = maps, list(listed)
        inputs = stored_noise(G) if noise == "const" else noise
        if stored_noise(G) and not isinstance(inputs, str):
            cells += [n[0, 0] for n in inputs]
            captions += [f"noise, {n.shape[-1]} px" for n in inputs]
    sheet = make_grid(thumbnails(cells), 8, padding=0)
    return job.answer(
        "layers", encode_image(sheet, "png"), columns=8, side=CELL, cells=captions, layer=options.layer, layers=listed
    )


def feature_maps(
    generator: StyleGenerator, ws: Tensor, noise: Any, layer: int | None = None
) -> tuple[list[str], list[Tensor]]:
    """Names of the styled convolutions, in order, and maps [H, W] for one image.

    Args:
        layer: None for the mean magnitude of each convolution's maps; a number for all maps of that one.
    """
    names: list[str] = []
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        number, (channels, side) = len(names), output.shape[-3:-1]
        names.append(f"layer {number}, {side} px, {channels} maps")
        if layer is None:
            maps.append(output[0].float().abs().mean(dim=0))
        elif number == min(layer, len(found) - 1):
            maps.extend(output[0].float())

    found = [m for name, m in generator.synthesis.named_modules() if _LAYER.fullmatch(name)]
    hooks = [module.register_forward_hook(keep) for module in found]
    try:
        generator.synthesis(ws, noise)
    finally:
        for hook in hooks:
            hook.remove()
    return names, maps


def thumbnails(maps: Sequence[Tensor]) -> Tensor:
    """Maps [H, W] of any sizes -> uint8 [N, 1, CELL, CELL], each from its lowest (black) to its highest value."""
    cells = []
    for values in maps:
        low, high = values.min(), values.max()
        gray = ((values - low) / (high - low).clamp(min=1e-12) * 255).round()
        mode = "nearest" if values.shape[-1] <= CELL else "area"
        cells.append(functional.interpolate(gray[None, None].cpu(), size=(CELL, CELL), mode=mode)[0])
    return torch.stack(cells).to(torch.uint8)
