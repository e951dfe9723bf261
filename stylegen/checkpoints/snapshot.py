"""Snapshots: an architecture's name, its settings (JSON) and its tensors (safetensors). No code, no import paths.

A file `<kimg>.safetensors` holds the EMA of the generator. Its `info` describes the training (images seen, dataset,
package version) and is not needed for loading. A growing network also has a `level`, restored on loading.
The SHA-256 of the content is verified; see `stylegen.checkpoints.snapshot_file`.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from stylegen.checkpoints.find_model import find_native
from stylegen.checkpoints.snapshot_file import damaged, read_snapshot_file, write_snapshot_file
from stylegen.errors import UserError, unknown_choice
from stylegen.networks import Level, StyleGenerator, build_generator


@dataclass(frozen=True)
class Snapshot:
    """A loaded generator in evaluation mode, at its saved level, with the `info` of its file."""

    generator: StyleGenerator
    info: dict[str, Any]
    path: Path

    @property
    def seed_source(self) -> str:
        """Of z from seeds: "numpy" for networks of another program, whose figures have such seeds."""
        return "numpy" if "source" in self.info else "stylegen"

    def on(self, device: torch.device | str) -> StyleGenerator:
        """The generator, moved to a device, in the memory layout of training: another one rounds differently."""
        return self.generator.to(device).to(memory_format=torch.channels_last)

    def class_index(self, label: str | int | None) -> int | None:
        """The index of the class `label`; a number is an index, even if a class has that name.

        Raises:
            UserError: a name that is not among the class names.
        """
        if label is None or re.fullmatch(r"-?\d{1,9}", str(label)):
            return None if label is None else int(label)
        names = self.info.get("class_names")
        if not isinstance(names, list):
            raise UserError(f"class={label}", rule="this snapshot has no class names", fix="Use the index of the class")
        if label not in names:
            raise unknown_choice("class", label, map(str, names))
        return names.index(label)


def kimg_name(images_seen: int) -> str:
    """ "000012.345" for 12,345 images: exact; alphabetical order is order of age."""
    return f"{images_seen / 1000:010.3f}"


def save_snapshot(path: Path, generator: StyleGenerator, info: dict[str, Any]) -> None:
    """Write the generator's weights and settings atomically."""
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}
    description: dict[str, Any] = {"network": generator.name, "settings": generator.settings, "info": info}
    if generator.level != Level(generator.resolution):
        description["level"] = dataclasses.asdict(generator.level)
    write_snapshot_file(path, description, tensors)


def find_snapshot(path: str | Path, setting: str = "snapshot") -> Path:
    """The snapshot of a path or a name; the newest of a run folder. See `find_native`.

    Raises:
        UserError: no such file or model, or a folder without snapshots.
    """
    path = find_native(path, setting)
    if path.is_dir():
        snapshots = sorted((path / "snapshots").glob("*.safetensors")) or sorted(path.glob("*.safetensors"))
        if not snapshots:
            raise UserError(
                f"{setting}={path}",
                rule="this folder holds no snapshots/*.safetensors",
                fix=f"Use {setting}= with a .safetensors file or another run folder",
            )
        return snapshots[-1]
    return path


def load_snapshot(path: str | Path) -> Snapshot:
    """Load a snapshot: a file, the newest of a run folder, or a model by name; see `find_native`.

    Raises:
        UserError: a file that is unreadable, damaged or not a snapshot; an unknown network; tensors that do not match
            its settings or are not finite.
    """
    path = find_snapshot(path)
    file = read_snapshot_file(path)
    try:
        with ShapesOnly():
            generator = build_generator(file.network, **file.settings)
        level = Level(generator.resolution) if file.level is None else Level(**file.level)
        generator.set_level(level.resolution, level.alpha)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise damaged("snapshot", path, f"its settings are invalid ({error})") from error
    if problems := list(tensor_problems(file.tensors, generator.state_dict())):
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise damaged("snapshot", path, f"its tensors do not match its settings: {'; '.join(problems[:3])}{more}")
    generator = build_generator(generator.name, **generator.settings)  # with memory, and values of the FIR filters
    generator.load_state_dict(file.tensors)
    generator.set_level(level.resolution, level.alpha)
    return Snapshot(generator.eval().requires_grad_(False), file.info, path)


class ShapesOnly(TorchFunctionMode):
    """Context manager: networks built in it have weights with shape and dtype, but no memory.

    `torch.device("meta")` does the same, but computes shapes of sums and products by decompositions in Python that
    import torch._dynamo, which takes longer than a sample.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "randn":
            return torch.empty(*args, device="meta")
        if name in ("empty", "zeros", "ones", "full"):
            return func(*args, **(kwargs or {}) | {"device": "meta"})
        if name == "div" and args[0].is_meta:  # an initial weight by its gain
            return args[0]
        return func(*args, **(kwargs or {}))


def tensor_problems(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[str]:
    """Names, shapes and dtypes that differ."""
    yield from (f"{name} is missing" for name in expected if name not in found)
    yield from (f"{name} is unexpected" for name in found if name not in expected)
    for name in [name for name in expected if name in found]:
        ours, theirs = expected[name], found[name]
        if theirs.shape != ours.shape:
            yield f"{name} has shape {list(theirs.shape)} instead of {list(ours.shape)}"
        elif theirs.dtype != ours.dtype:
            yield f"{name} has dtype {theirs.dtype} instead of {ours.dtype}"
