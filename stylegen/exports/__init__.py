"""Trained generators for other programs: each format writes one file or folder and checks it against the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylegen.exports.export_source import Source
from stylegen.exports.hub_folder import write_hub_folder
from stylegen.exports.onnx_file import write_onnx
from stylegen.exports.program_file import write_program
from stylegen.exports.state_dict_file import write_state_dict


@dataclass(frozen=True)
class Format:
    """A format of `export`.

    Args:
        suffix: end of its file's name; empty for a folder.
        write: writes the new file or folder at a path, and returns lines of text about it.
        settings: which of `input`, `noise` and `license` it uses.
    """

    suffix: str
    write: Callable[[Source, Path], list[str]]
    settings: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", write_onnx, ("input", "noise")),
    "torch_export": Format(".pt2", write_program, ("input", "noise")),
    "state_dict": Format(".pt", write_state_dict),
    "huggingface": Format("", write_hub_folder, ("license",)),
}
