"""torch.export: a .pt2 file that `torch.export.load` opens without this package."""

import io
import json
from pathlib import Path

import torch

from stylegen.exports.export_source import Source
from stylegen.exports.image_function import largest_difference, quiet, trace

METADATA = "stylegen.json"  # an extra file of the archive


def write_program(source: Source, path: Path) -> list[str]:
    """Write `path`; `torch.export.load(path).module()` takes the inputs of `LatentFunction` or
    `StyleFunction` in order.

    Raises:
        UserError: a difference above the limit.
    """
    archive = io.BytesIO()  # torch's own writer raises RuntimeError on a full disk
    with quiet():
        torch.export.save(trace(source), archive, extra_files={METADATA: json.dumps(source.function)})
        path.write_bytes(archive.getbuffer())
        with path.open("rb") as file:
            module = torch.export.load(io.BytesIO(file.read())).module()
        difference = largest_difference(lambda inputs: module(*inputs.values()), source, "the loaded program")
    return [f"largest difference between torch.export.load and the network: {difference:.1e}"]
