"""Directions of a generator's latent space: unit vectors of w with the snapshot, method and measures they come from.

A `.safetensors` of `directions` [K, w_dim] and `scales` [K]. The metadata entry `stylegen` is a JSON object with
`format`, `names`, `layers`, `info` and `sha256`, a hash over all of it.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from stylegen.checkpoints.snapshot_file import content_digest
from stylegen.errors import DamagedFile, UserError, unknown_choice
from stylegen.files import parse_json, replacing, unreadable
from stylegen.latent.mixing import mix
from stylegen.latent.seeds import parse_seeds
from stylegen.networks import StyleGenerator

FORMAT = "stylegen-directions-1"
Layers = Sequence[int] | Mapping[int, float]


@dataclass(frozen=True)
class Directions:
    """Directions of w.

    Attributes:
        vectors: [K, w_dim], float32, of unit length.
        scales: [K], standard deviation of w along each: strength 1 is one standard deviation for every method.
        names: one per direction, such as "tone" or "sefa0".
        layers: style slots that are moved.
        info: method, snapshot, settings and measures, as JSON values; `mapping_sha256` identifies the space of w.
    """

    vectors: Tensor
    scales: Tensor
    names: Sequence[str]
    layers: Sequence[int]
    info: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, text: str) -> list[int]:
        """Numbers of the directions that `text` names: "0-2,5", or names separated by commas.

        Raises:
            UserError: a direction that the file does not have.
        """
        names = [name.strip() for name in text.split(",")]
        if all(name in self.names for name in names):
            return [list(self.names).index(name) for name in names]
        if not re.fullmatch(r"[\d\s,-]+", text):
            raise unknown_choice("direction", next(n for n in names if n not in self.names), self.names)
        numbers = parse_seeds(text, "direction")
        if max(numbers) >= len(self):
            fix = f"Use direction=0 to direction={len(self) - 1}, or a name: {', '.join(self.names)}"
            raise UserError(f"direction={text}", rule=f"the file has {len(self)} directions", fix=fix)
        return numbers

    def move(self, ws: Tensor, index: int, strength: float, layers: Layers | None = None) -> Tensor:
        """ws + strength * scale * direction, in `layers`: [N, L, w_dim] -> [N, L, w_dim].

        Args:
            ws: truncated styles; truncation after the step would shorten it.
            index: number of the direction, from 0.
            strength: standard deviations of w along the direction; 0 is the identity.
            layers: style slots to move, possibly with weights; None for the direction's own.
        """
        step = (self.vectors[index] * (self.scales[index] * strength)).to(ws)
        return mix(ws, ws + step, self.layers if layers is None else layers)

    def walk(self, ws: Tensor, index: int, strengths: Sequence[float], layers: Layers | None = None) -> Tensor:
        """`move` by each strength: [N, L, w_dim] -> [S, N, L, w_dim]."""
        return torch.stack([self.move(ws, index, strength, layers) for strength in strengths])

    def save(self, path: Path) -> None:
        """Write a .safetensors file, atomically. Raises OSError."""
        tensors = {"directions": self.vectors, "scales": self.scales}
        tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}
        description = {
            "format": FORMAT,
            "names": list(self.names),
            "layers": list(self.layers),
            "info": dict(self.info),
        }
        plain = json.loads(json.dumps(description))  # as parsed from the file
        metadata = {"stylegen": json.dumps(plain | {"sha256": content_digest(plain, tensors)})}
        with replacing(path) as partial:
            try:
                safetensors.torch.save_file(tensors, partial, metadata)
            except SafetensorError as error:  # of the file system, such as a full disk
                raise OSError(str(error)) from error


def read_directions(path: str | Path, generator: StyleGenerator, setting: str = "directions") -> Directions:
    """Read the directions of a generator.

    Directions belong to a space of w, which a mapping network defines: a generator with another synthesis network, such
    as one after pivotal tuning, takes them too.

    Raises:
        UserError: no such file, or another kind of file; directions of another width, network or layers.
        DamagedFile: a truncated file, or one whose content does not match its hash.
    """
    file = Path(path).expanduser()
    description, tensors = _read(file, setting)
    plain = {key: value for key, value in description.items() if key != "sha256"}
    if content_digest(plain, tensors) != description.get("sha256"):
        raise _damaged(setting, file, "its content does not match its SHA-256")
    vectors, scales = tensors.get("directions"), tensors.get("scales")
    names, layers, info = (description.get(key) for key in ("names", "layers", "info"))
    if not (
        vectors is not None
        and scales is not None
        and isinstance(names, list)
        and isinstance(layers, list)
        and isinstance(info, dict)
        and vectors.shape[:1] == scales.shape == (len(names),)
        and vectors.ndim == 2
        and vectors.isfinite().all()
        and scales.isfinite().all()
        and all(isinstance(layer, int) for layer in layers)
    ):
        raise _damaged(setting, file, "it lacks directions [K, w_dim], scales [K], names, layers or info")
    directions = Directions(vectors, scales, [str(name) for name in names], layers, info)
    _check_network(directions, generator, f"{setting}={path}")
    return directions


def direction_files(text: str | None) -> dict[str, str]:
    """Name -> path of a file of directions, or of each in a folder; None for none.

    Raises:
        UserError: no such file, or a folder without one.
    """
    if text is None:
        return {}
    path = Path(text).expanduser()
    paths = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not paths or not paths[0].is_file():
        fix = "Use a file that `python -m stylegen directions` wrote"
        raise UserError(f"directions={text}", rule="there is no such file", fix=fix)
    return {path.stem: str(path) for path in paths}


def _check_network(directions: Directions, generator: StyleGenerator, given: str) -> None:
    width, slots = generator.w_dim, generator.num_ws
    if directions.vectors.shape[1] != width or not all(0 <= layer < slots for layer in directions.layers):
        found = f"width {directions.vectors.shape[1]}, layers {','.join(map(str, directions.layers))}"
        rule = f"they have {found}; w of this network has width {width}, layers 0 to {slots - 1}"
    elif directions.info.get("mapping_sha256") not in (None, digest(generator.mapping)) and _is_exact(generator):
        rule = "they were found with another mapping network, whose w have other meanings"
    else:
        return
    name = directions.info.get("snapshot", "the snapshot they were found with")
    raise UserError(given, rule=rule, fix=f"Use snapshot={name}, or run `directions` with this one")


def _is_exact(generator: StyleGenerator) -> bool:
    """Whether weights are as in the file; half precision rounds them."""
    return next(generator.parameters()).dtype in (torch.float32, torch.float64)


def digest(module: nn.Module) -> str:
    """SHA-256 over name, shape and float32 values of each tensor, sorted by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(f"\n{name} {list(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()


def _read(file: Path, setting: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with file.open("rb"):  # safetensors reports a missing permission like a truncated file
            pass
        with safe_open(file, "pt") as content:
            text = (content.metadata() or {}).get("stylegen", "{}")
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        description = parse_json(text)
    except OSError as error:
        raise unreadable(setting, file, error) from error
    except (SafetensorError, ValueError) as error:
        raise _damaged(setting, file, f"it is truncated or not a safetensors file ({error})") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise UserError(
            f"{setting}={file}",
            rule=f"its metadata lacks {FORMAT}",
            fix="Use a file that `python -m stylegen directions` wrote",
        )
    return description, tensors


def _damaged(setting: str, file: Path, rule: str) -> DamagedFile:
    return DamagedFile(
        f"{setting}={file}", rule=f"it is damaged: {rule}", fix="Copy the file again, or run `directions` again"
    )
