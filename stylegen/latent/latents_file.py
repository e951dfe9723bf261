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
        names: of the images.
        info: where they come from.
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
    ws = arrays.get("ws", arrays.get("w"))
    if ws is None or ws.dtype.kind != "f" or ws.ndim not in (2, 3) or not np.isfinite(ws).all():
        raise _unusable(f"{setting}={path}", "it holds no array ws [N, L, w_dim] of finite numbers")
    if ws.ndim == 2:
        ws = np.repeat(ws[:, None], generator.num_ws, axis=1)
    if ws.shape[1:] != (generator.num_ws, generator.mapping.w_avg.shape[0]):
        raise UserError(
            f"{setting}={path} holds styles of {ws.shape[1]} layers and width {ws.shape[2]}",
            rule=f"this network has {generator.num_ws} layers and width {generator.mapping.w_avg.shape[0]}",
            fix="Use the snapshot that the latents were made with",
        )
    names = [str(name) for name in arrays.get("names", range(len(ws)))]
    return Latents(torch.from_numpy(ws.astype(np.float32)), names, _info(arrays.get("info")))


def _info(text: Any) -> dict[str, Any]:
    try:
        found = parse_json(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unusable(problem: str, rule: str) -> DamagedFile:
    return DamagedFile(problem, rule=rule, fix="Use an .npz file that `project` or mode=images wrote")
