"""Snapshots: an architecture's name, its settings (JSON) and its tensors (safetensors). No code, no import paths.

A file `<kimg>.safetensors` holds the averaged generator. Its one metadata entry, `stylegen`, is a JSON object with
`format`, `network`, `settings`, and `info`: what is known about its training (images seen, dataset, package version),
which loading never needs. A network that has not grown up has a `level` too, at which it is loaded. (One entry, because
the library writes several in random order.)
"""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stylegen.errors import UserError
from stylegen.networks import Level, StyleGenerator, build_generator

FORMAT = "stylegen-snapshot-1"


@dataclass(frozen=True)
class Snapshot:
    """A loaded generator in evaluation mode, at the level at which it was saved, and what its file says about it."""

    generator: StyleGenerator
    info: dict[str, Any]
    path: Path


def kimg_name(images_seen: int) -> str:
    """ "000012.345" for 12,345 images: exact to the image, and sorting by name is by age."""
    return f"{images_seen / 1000:010.3f}"


def save_snapshot(path: Path, generator: StyleGenerator, info: dict[str, Any]) -> None:
    """Write the generator's weights and settings; the file appears whole or not at all."""
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}
    description = {"format": FORMAT, "network": generator.name, "settings": generator.settings, "info": info}
    if generator.level != Level(generator.resolution):
        description["level"] = dataclasses.asdict(generator.level)
    metadata = {"stylegen": json.dumps(description)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    safetensors.torch.save_file(tensors, partial, metadata)
    partial.replace(path)


def find_snapshot(path: str | Path) -> Path:
    """A snapshot file as it is; of a run folder, the newest.

    Raises:
        UserError: nothing there, or a folder without snapshots.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        snapshots = sorted((path / "snapshots").glob("*.safetensors")) or sorted(path.glob("*.safetensors"))
        if not snapshots:
            raise UserError(
                f"snapshot={path}",
                rule="this folder holds no snapshots/*.safetensors",
                fix="Name a run folder that has trained for a while, or a .safetensors file",
            )
        return snapshots[-1]
    if not path.is_file():
        raise UserError(
            f"snapshot={path}", rule="there is no such file", fix="Name a .safetensors file or a run folder"
        )
    return path


def load_snapshot(path: str | Path) -> Snapshot:
    """Load a snapshot, or the newest of a run folder.

    Raises:
        UserError: a file that is truncated, of another kind, of an unknown network, or whose tensors do not fit.
    """
    path = find_snapshot(path)
    metadata, tensors = _read(path)
    try:
        description = json.loads(metadata.get("stylegen", "{}"))
        if description.get("format") != FORMAT:
            raise UserError(
                f"snapshot={path}",
                rule=f"its metadata does not say {FORMAT}, so it holds something else than a generator of stylegen",
                fix="Use a file from the snapshots/ folder of a run",
            )
        name, settings, info = (description[key] for key in ("network", "settings", "info"))
    except (KeyError, AttributeError, json.JSONDecodeError) as error:
        raise _damaged(path, f"its metadata cannot be read ({error})") from error
    try:
        with torch.device("meta"):
            generator = build_generator(name, **settings)
        level = Level(**description.get("level", {"resolution": generator.resolution}))
        generator.set_level(level.resolution, level.alpha)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise _damaged(path, f"its settings make no network ({error})") from error
    _check_tensors(path, tensors, generator.state_dict())
    generator = _materialize(generator, tensors)
    generator.set_level(level.resolution, level.alpha)
    return Snapshot(generator.eval().requires_grad_(False), info, path)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, f"it is truncated or no safetensors file ({error})") from error


def _check_tensors(path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is unexpected" for name in found if name not in expected]
    problems += [
        f"{name} has shape {list(found[name].shape)} instead of {list(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise _damaged(path, f"its tensors do not fit its settings: {'; '.join(problems[:3])}{more}")


def _materialize(generator: StyleGenerator, tensors: dict[str, Tensor]) -> StyleGenerator:
    """Build again for real: buffers outside the state (FIR filters) have no values on the meta device."""
    generator = build_generator(generator.name, **generator.settings)
    generator.load_state_dict(tensors)
    return generator


def _damaged(path: Path, rule: str) -> UserError:
    return UserError(f"snapshot={path}", rule=rule, fix="Take another snapshot of the run, or copy the file again")
