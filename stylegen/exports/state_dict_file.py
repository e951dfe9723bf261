"""A plain state dict under the names of the published code, for `load_state_dict`."""

import io
from pathlib import Path

import torch

from stylegen.exports.export_source import Source
from stylegen.exports.reference_names import REFERENCES


def write_state_dict(source: Source, path: Path) -> list[str]:
    """Write `path`; `torch.load(path, weights_only=True)` gives the tensors by name.

    Raises:
        Inexpressible: a network that the published code does not have.
    """
    reference = REFERENCES[source.generator.name](source.generator)
    archive = io.BytesIO()  # torch's own writer raises RuntimeError on a full disk
    torch.save(reference.tensors, archive)
    path.write_bytes(archive.getbuffer())
    return [
        f"{len(reference.tensors)} tensors under the names of {reference.program}",
        f"its generator's arguments: {reference.arguments}",
    ]
