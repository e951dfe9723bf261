"""A generator as two ONNX files for a browser: mapping and synthesis, one image at a time.

Truncation and mixing act on the styles between both, and noise is an input, so that the page computes them.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.exports.export_source import Source
from stylegen.exports.image_function import LIMIT, Inputs, graph
from stylegen.exports.onnx_file import check_size, onnx_packages, onnx_session, save_onnx
from stylegen.latent.mixing import mix
from stylegen.latent.noise_inputs import random_noise, stored_noise
from stylegen.latent.seeds import latents
from stylegen.latent.truncation import truncate
from stylegen.networks import StyleGenerator
from stylegen.networks.generator import Noise

MAPPING, SYNTHESIS = "mapping.onnx", "synthesis.onnx"
_SEEDS = (0, 1)  # of the comparison


class SynthesisFunction(nn.Module):
    """Styles ws [1, L, w_dim], noise [1, 1, r, r] of each layer -> image [1, C, H, W]."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.synthesis = generator.synthesis

    def forward(self, ws: Tensor, *noise: Tensor) -> Tensor:
        return self.synthesis(ws, list(noise) or "none")


def write_browser_graphs(source: Source, folder: Path) -> float:
    """Write `folder`/mapping.onnx, z [1, z_dim] and c [1, num_classes] of a conditional network -> w [1, w_dim], and
    `folder`/synthesis.onnx, `SynthesisFunction` -> image.

    Returns:
        The largest difference between the image by ONNX Runtime and by the network, relative to magnitudes above 1.

    Raises:
        UserError: a missing package, weights above 2 GiB, or a difference above the limit of an export.
    """
    onnxruntime = onnx_packages("the graphs of a static page need it")
    check_size(source, "export=", "Use another snapshot=")
    G, names = source.generator, (folder / MAPPING, folder / SYNTHESIS)
    z, styles = _mapping_inputs(G, _SEEDS[0]), _synthesis_inputs(G, _SEEDS[0])
    save_onnx(names[0], graph(G.mapping, z), z, "w", source.origin)
    save_onnx(names[1], graph(SynthesisFunction(G), styles), styles, "image", source.origin)
    mapping, synthesis = (onnx_session(onnxruntime, names[0], "w"), onnx_session(onnxruntime, names[1], "image"))
    return _checked(G, mapping, synthesis)


@torch.no_grad()
def _checked(
    generator: StyleGenerator, mapping: Callable[[Inputs], Tensor], synthesis: Callable[[Inputs], Tensor]
) -> float:
    """The largest difference; UserError if it is above the limit or not a number."""
    worst = 0.0
    for seed in _SEEDS:
        inputs, styles = _mapping_inputs(generator, seed), _synthesis_inputs(generator, seed)
        expected = generator.synthesis(styles["ws"], _noise(styles))
        found = synthesis(styles | {"ws": _styles(generator, mapping(inputs))})
        difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
        if not difference <= LIMIT:
            raise UserError(
                f"ONNX Runtime differs by {difference:.2g} from the network",
                rule=f"the largest difference of an export is {LIMIT:g}",
                fix="Install the versions of constraints.txt",
            )
        worst = max(worst, difference)
    return worst


def _mapping_inputs(generator: StyleGenerator, seed: int) -> Inputs:
    z = {"z": latents([seed], generator.z_dim)}
    classes = generator.num_classes
    return z | ({"c": torch.eye(classes)[[seed % classes]]} if classes else {})


@torch.no_grad()
def _synthesis_inputs(generator: StyleGenerator, seed: int) -> Inputs:
    ws = _styles(generator, generator.mapping(*_mapping_inputs(generator, seed).values()))
    noise = random_noise(generator, [seed]) if stored_noise(generator) else []
    return {"ws": ws} | {f"noise{k}": value for k, value in enumerate(noise)}


def _styles(generator: StyleGenerator, w: Tensor) -> Tensor:
    """Truncated styles, which differ between the slots."""
    ws = truncate(w.unsqueeze(1).repeat(1, generator.num_ws, 1), generator.mapping.w_avg, 0.7)
    return mix(ws, -ws, range(generator.num_ws // 2))


def _noise(inputs: Inputs) -> Noise:
    return [value for name, value in inputs.items() if name != "ws"] or "none"
