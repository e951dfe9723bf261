"""Style space: the outputs of the affine layers that turn w into styles (Wu et al. 2021, StyleSpace, arXiv 2011.12799).

Each entry is the style of one feature map; a step in W moves all of them.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.networks import StyleGenerator
from stylegen.networks.generator import Noise


@dataclass(frozen=True)
class StyleLayer:
    """A linear map of w.

    Attributes:
        name: key of the module in the synthesis network.
        slot: number of the style that it reads.
        module: the layer, with `weight` [C, w_dim].
    """

    name: str
    slot: int
    module: nn.Module

    @property
    def matrix(self) -> Tensor:
        """The weights [C, w_dim]."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight.detach()

    @property
    def width(self) -> int:
        """Number C of styles: of feature maps, or of scales and shifts of them."""
        return len(self.matrix)


@torch.no_grad()
def style_layers(generator: StyleGenerator) -> list[StyleLayer]:
    """The linear maps of w at the current level, in order of use.

    Found in one pass: modules with a matrix `weight` of width w_dim whose input is a style.
    """
    weight, synthesis = next(generator.parameters()), generator.synthesis
    slots = torch.arange(generator.num_ws, device=weight.device)
    ws = randomness.normal(0, "style_space/probe", slots, (generator.mapping.w_avg.shape[0],)).to(weight)
    found: list[StyleLayer] = []
    with ExitStack() as hooks:
        for name, module in synthesis.named_modules():
            matrix = getattr(module, "weight", None)
            if isinstance(matrix, Tensor) and matrix.ndim == 2 and matrix.shape[1] == ws.shape[1]:
                hooks.callback(module.register_forward_pre_hook(_finder(name, ws, found)).remove)
        synthesis(ws[None], "none")
    return found


def _finder(name: str, ws: Tensor, found: list[StyleLayer]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].shape == ws[:1].shape and (equal := (ws == inputs[0]).all(dim=1)).any():
            found.append(StyleLayer(name, int(equal.nonzero()[0]), module))

    return record


def read_styles(generator: StyleGenerator, ws: Tensor, noise: Noise = "const") -> dict[str, Tensor]:
    """Styles of images: name of a layer -> [N, C].

    Args:
        ws: [N, L, w_dim].
    """
    styles: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for layer in style_layers(generator):

            def keep(module: nn.Module, inputs: object, output: Tensor, name: str = layer.name) -> None:
                styles[name] = output

            hooks.callback(layer.module.register_forward_hook(keep).remove)
        generator.synthesis(ws, noise)
    return styles


def synthesize_styles(
    generator: StyleGenerator, ws: Tensor, styles: Mapping[str, Tensor], noise: Noise = "const"
) -> Tensor:
    """Images [N, C, H, W], about in [-1, 1], with some layers' styles replaced; differentiable.

    Args:
        ws: [N, L, w_dim], for all other layers.
        styles: name of a layer -> [N, C], as `read_styles` returns them.

    Raises:
        UserError: a layer that the network does not have, or styles of another shape.
    """
    layers = {layer.name: layer for layer in style_layers(generator)}
    with ExitStack() as hooks:
        for name, style in styles.items():
            if name not in layers or style.shape != (len(ws), layers[name].width):
                known = ", ".join(f"{layer.name} [{len(ws)}, {layer.width}]" for layer in layers.values())
                raise UserError(
                    f"styles of {name} {list(style.shape)}", rule=f"the layers are {known}", fix="Use these"
                )

            def replace(module: nn.Module, inputs: object, output: Tensor, style: Tensor = style) -> Tensor:
                return style.to(output)

            hooks.callback(layers[name].module.register_forward_hook(replace).remove)
        return generator.synthesis(ws, noise)
