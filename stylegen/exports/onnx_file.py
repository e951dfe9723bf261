"""ONNX: one file with graph, weights and metadata, compared with the network in ONNX Runtime."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.errors import UserError, import_extra
from stylegen.exports.export_source import Source
from stylegen.exports.image_function import Inputs, dynamic_shapes, largest_difference, quiet, trace, traced_inputs

OPSET = 20
_LARGEST = 2**31 - 2**20  # bytes of a protobuf message, with room for the graph


def write_onnx(source: Source, path: Path) -> list[str]:
    """Write `path` with the inputs of `LatentFunction` or `StyleFunction` and the output `image`.

    Metadata entries come from `Source.function`, texts as they are and other values as JSON.

    Raises:
        UserError: a missing package, weights above 2 GiB, or a difference above the limit.
    """
    onnxruntime = onnx_packages("format=onnx needs it", ", or use format=torch_export")
    check_size(source, "format=onnx", "Use format=torch_export")
    inputs = traced_inputs(source)
    shapes = dynamic_shapes(inputs, torch.export.Dim("N"))
    save_onnx(path, trace(source), inputs, "image", source.function, shapes)
    difference = largest_difference(onnx_session(onnxruntime, path, "image"), source, "ONNX Runtime")
    named = ", ".join(_shape(name, value) for name, value in inputs.items())
    return [
        f"opset {OPSET}; {named} -> image {['N', *_image(source)]}".replace("'", ""),
        f"largest difference between ONNX Runtime and the network: {difference:.1e}",
    ]


def onnx_packages(rule: str, otherwise: str = "") -> Any:
    """The package onnxruntime, if all that writing needs is installed; see `import_extra`."""
    return [import_extra(p, "export", rule=rule, otherwise=otherwise) for p in ("onnx", "onnxscript", "onnxruntime")][
        -1
    ]


def check_size(source: Source, setting: str, fix: str) -> None:
    """Raise UserError for weights that one file does not hold."""
    if sum(tensor.nbytes for tensor in source.generator.state_dict().values()) > _LARGEST:
        raise UserError(setting, rule="an .onnx file holds at most 2 GiB", fix=fix)


def save_onnx(
    path: Path,
    program: torch.export.ExportedProgram,
    inputs: Inputs,
    output: str,
    metadata: Mapping[str, Any],
    shapes: tuple[dict[int, object] | None, ...] | None = None,
) -> None:
    """Write a graph with one output as a file, without paths of this machine.

    Args:
        inputs: those that were traced, by the names of the file's inputs.
        metadata: texts as they are and other values as JSON.
        shapes: dynamic axes; None for the shapes of `inputs`.
    """
    with quiet():
        model = torch.onnx.export(
            program,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert model is not None
    _remove_traces(model.model)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    model.model.metadata_props.update(texts)
    model.save(path, external_data=False)


def _remove_traces(model: Any) -> None:
    """Remove the exporter's notes on each node and value: they hold paths of this machine, and half of a small file."""
    for graph in (model.graph, *model.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
        graph.metadata_props.clear()


def onnx_session(onnxruntime: Any, path: Path, output: str) -> Callable[[Inputs], Tensor]:
    """The file in ONNX Runtime, as a function of tensors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> Tensor:
        return torch.from_numpy(session.run([output], {name: value.numpy() for name, value in inputs.items()})[0])

    return run


def _shape(name: str, value: Tensor) -> str:
    return f"{name} {['N', *value.shape[1:]] if value.ndim else []}"


def _image(source: Source) -> list[int]:
    G = source.generator
    return [G.channels, G.level.resolution, G.level.resolution]
