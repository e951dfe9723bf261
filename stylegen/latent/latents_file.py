"""Latents in a file: styles of projected or chosen images, which `sample`, `project` and `stylegen.Model` read.

A `.npz` of `ws` [N, L, w_dim] (float32), `names` [N], and `info`, JSON. numpy reads it; nothing in it is code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegen.errors import DamagedFile, UserError
from stylegen.files import parse_json, replacing
from stylegen.networks import StyleGenerator


@dataclass(frozen=True)
class Latents:
    """Styles with the names of their images.

    Attributes:
        ws: [N, L, w_dim].
        names: one per row of `ws`, such as the images' paths.
        info: origin of the styles.
    """

    ws: Tensor
    names: Sequence[str]
    info: Mapping[str, Any]


def write_latents(path: Path, latents: Latents) -> None:
    """Write an .npz, atomically."""
    with replacing(path) as partial, partial.open("wb") as file:
        ws = latents.ws.detach().cpu().float().numpy()
        np.savez(file, ws=ws, names=np.array(latents.names, dtype=str), info=np.array(json.dumps(latents.info)))


def read_latents(path: str | Path, generator: StyleGenerator, setting: str = "latents") -> Latents:
    """Read latents for a generator. One w [N, w_dim], as other programs save it, serves all layers.

    Raises:
        UserError: no such file; styles of another network.
        DamagedFile: a file that is not an .npz of latents, or values that are not finite.
    """
    file = Path(path).expanduser()
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files if name in ("ws", "w", "names", "info")}
    except OSError as error:
        raise UserError(
            f"{setting}={path} cannot be read ({error.strerror or error})",
            rule="the file must be readable",
            fix=f"Use {setting}= with an .npz file that `project` or mode=images wrote",
        ) from error
    except Exception as error:  # zipfile and numpy raise many types on damaged bytes
        raise _unusable(f"{setting}={path}", f"it is damaged, or no .npz file ({type(error).__name__})") from error
    found = arrays.get("ws", arrays.get("w"))
    if found is None or found.dtype.kind != "f" or found.ndim not in (2, 3):
        raise _unusable(f"{setting}={path}", "it holds no array ws [N, L, w_dim] of numbers")
    ws = torch.from_numpy(found.astype(np.float64 if found.itemsize > 4 else np.float32)).float()
    if len(ws) == 0 or not ws.isfinite().all():
        raise _unusable(f"{setting}={path}", "it has no styles, or some are not finite")
    if ws.ndim == 2:
        ws = ws.unsqueeze(1).expand(-1, generator.num_ws, -1)  # without a copy for each layer
    if ws.shape[1:] != (generator.num_ws, generator.mapping.w_avg.shape[0]):
        raise UserError(
            f"{setting}={path} holds styles of {ws.shape[1]} layers and width {ws.shape[2]}",
            rule=f"this network has {generator.num_ws} layers and width {generator.mapping.w_avg.shape[0]}",
            fix="Use the snapshot that the latents were made with",
        )
    names = arrays.get("names")
    if names is None or names.shape != (len(ws),):
        names = np.arange(len(ws))
    return Latents(ws, [str(name) for name in names], _info(arrays.get("info")))


def _info(text: Any) -> dict[str, Any]:
    try:
        found = parse_json(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unusable(problem: str, rule: str) -> DamagedFile:
    return DamagedFile(problem, rule=rule, fix="Use an .npz file that `project` or mode=images wrote")
