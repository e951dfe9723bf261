"""The exported function, z, psi, c -> image or ws -> image, with a dynamic batch; its comparison with the network."""

import contextlib
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.exports.export_source import Source
from stylegen.latent.mixing import mix
from stylegen.latent.seeds import latents
from stylegen.latent.truncation import truncate
from stylegen.networks import StyleGenerator

Inputs = dict[str, Tensor]

LIMIT = 1e-3  # of the largest difference; images are in [-1, 1]
_CASES = [([0], 0.7), ([1, 2, 3], 1.0), ([4, 5], -0.5)]  # seeds of a batch and its psi
_TRACED = 1  # the case that is traced: three images, because 1 would be taken for a constant


class LatentFunction(nn.Module):
    """z [N, z_dim], psi [], labels c [N, num_classes] of a conditional network -> image [N, C, H, W]."""

    def __init__(self, generator: StyleGenerator, noise: str) -> None:
        super().__init__()
        self.generator, self.noise = generator, noise

    def forward(self, z: Tensor, psi: Tensor, c: Tensor | None = None) -> Tensor:
        G = self.generator
        w, w_avg = G.mapping(z, c), G.mapping.w_avg
        w = w_avg + psi * (w - w_avg)
        return G.synthesis(w.unsqueeze(1).expand(-1, G.num_ws, -1), self.noise)


class StyleFunction(nn.Module):
    """Styles ws [N, L, w_dim] -> image [N, C, H, W]."""

    def __init__(self, generator: StyleGenerator, noise: str) -> None:
        super().__init__()
        self.synthesis, self.noise = generator.synthesis, noise

    def forward(self, ws: Tensor) -> Tensor:
        return self.synthesis(ws, self.noise)


def trace(source: Source) -> torch.export.ExportedProgram:
    """The function as a graph, with a dynamic batch."""
    function = {"z": LatentFunction, "ws": StyleFunction}[source.input](source.generator, source.noise)
    inputs = traced_inputs(source)
    return graph(function, inputs, dynamic_shapes(inputs, torch.export.Dim.DYNAMIC))


def graph(
    function: nn.Module, inputs: Inputs, shapes: tuple[dict[int, object] | None, ...] | None = None
) -> torch.export.ExportedProgram:
    """A module as a graph, without paths of this machine.

    Args:
        inputs: positional arguments, in order.
        shapes: dynamic axes; None for the shapes of `inputs`.
    """
    with torch.no_grad(), quiet():
        program = torch.export.export(function.eval(), tuple(inputs.values()), dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for key in ("stack_trace", "from_node"):
                    node.meta.pop(key, None)
    return program


def dynamic_shapes(inputs: Inputs, size: object) -> tuple[dict[int, object] | None, ...]:
    """The batch axis of each input except psi, in the form that torch takes."""
    return tuple({0: size} if value.ndim else None for value in inputs.values())


def traced_inputs(source: Source) -> Inputs:
    """The inputs that `trace` uses."""
    return _inputs(source, *_CASES[_TRACED])


def largest_difference(run: Callable[[Inputs], Tensor], source: Source, name: str) -> float:
    """Largest |run - network| over batches of 1, 3 and 2 images, relative to magnitudes above 1.

    Args:
        run: the exported function.
        name: name of what runs it, for the error.

    Raises:
        UserError: it is above 1e-3, or not a number.
    """
    worst = 0.0
    for seeds, psi in _CASES:
        inputs = _inputs(source, seeds, psi)
        expected, found = _expected(source, inputs), run(inputs)
        assert found.shape == expected.shape
        difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
        worst = difference if difference != difference else max(worst, difference)
        if not worst <= LIMIT:
            raise UserError(
                f"{name} differs by {worst:.2g} from the network",
                rule=f"the largest difference of an export is {LIMIT:g}",
                fix="Install the versions of constraints.txt, or use another format=",
            )
    return worst


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Context manager: no warnings; torch's exporters warn about their own internals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _inputs(source: Source, seeds: list[int], psi: float) -> Inputs:
    G = source.generator
    z, scale = latents(seeds, G.z_dim), torch.tensor(psi)
    c = torch.eye(G.num_classes)[[seed % G.num_classes for seed in seeds]] if G.num_classes else None
    if source.input == "z":
        return {"z": z, "psi": scale} | ({} if c is None else {"c": c})
    with torch.no_grad():
        ws = truncate(G.mapping(z, c).unsqueeze(1).repeat(1, G.num_ws, 1), G.mapping.w_avg, psi)
    return {"ws": mix(ws, ws.flip(0) * 0.9, range(G.num_ws // 2))}  # slots differ


@torch.no_grad()
def _expected(source: Source, inputs: Inputs) -> Tensor:
    """The network's image, by the functions that sampling uses."""
    G = source.generator
    if source.input == "z":
        ws = G.mapping(inputs["z"], inputs.get("c")).unsqueeze(1).repeat(1, G.num_ws, 1)
        ws = truncate(ws, G.mapping.w_avg, float(inputs["psi"]))
    else:
        ws = inputs["ws"]
    return G.synthesis(ws, source.noise)
