"""Snapshot files: a description (JSON) and tensors (safetensors), with a hash over both.

The metadata entry `stylegen` is a JSON object with `format`, `network`, `settings`, `info`, `sha256` and, for a growing
network, `level`. It is a single entry, because the library writes several in random order.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stylegen.checkpoints.packaged import is_packaged
from stylegen.downloads import is_download
from stylegen.errors import DamagedFile, UserError
from stylegen.files import parse_json, replacing, unreadable

FORMAT = "stylegen-snapshot-1"
NOT_HASHED = "not verified: the file is older than snapshot hashes"

_MAX_LIST = 64  # entries: filters have 3 to 14 taps
_INFO_TYPES: dict[str, type] = {
    "images_seen": int,
    "stylegen": str,
    "data": dict,
    "dataset": str,
    "fingerprint": str,
    "prepared": dict,
}


@dataclass(frozen=True)
class SnapshotFile:
    """Content of a file, with its types checked.

    Attributes:
        network, settings: name and constructor arguments of the generator.
        info: about its training; has `integrity` if the file has no hash.
        level: arguments of `stylegen.networks.Level`, or None at full resolution.
        tensors: finite.
    """

    network: str
    settings: dict[str, Any]
    info: dict[str, Any]
    level: dict[str, Any] | None
    tensors: dict[str, Tensor]


def write_snapshot_file(path: Path, description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write CPU tensors with `network`, `settings`, `info` and optionally `level`, atomically. Raises OSError."""
    plain = json.loads(json.dumps({"format": FORMAT, **description}))  # as parsed from the file
    metadata = {"stylegen": json.dumps(plain | {"sha256": content_digest(plain, tensors)})}
    with replacing(path) as partial:
        try:
            safetensors.torch.save_file(dict(tensors), partial, metadata)
        except SafetensorError as error:  # of the file system, such as a full disk
            raise OSError(str(error)) from error


def read_snapshot_file(path: Path, setting: str = "snapshot") -> SnapshotFile:
    """Read and verify a file.

    Args:
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: the file cannot be read.
        DamagedFile: the file is truncated or not a snapshot; its hash does not match; a field is missing or has the
            wrong type; tensors are not finite.
    """
    try:
        with path.open("rb"):  # safetensors reports a missing permission like a truncated file
            pass
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("stylegen", "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise unreadable(setting, path, error) from error
    except SafetensorError as error:
        raise damaged(setting, path, f"it is truncated or not a safetensors file ({error})") from error
    try:
        description = parse_json(text)
    except ValueError as error:
        raise damaged(setting, path, f"its metadata cannot be read ({error})") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise UserError(
            f"{setting}={path}",
            rule=f"its metadata lacks {FORMAT}, so it is not a generator of stylegen",
            fix=f"Use {setting}= with a file of the snapshots/ folder of a run",
        )
    problem = _problem(description, tensors)
    if problem is not None:
        raise damaged(setting, path, problem)
    info = description["info"] if "sha256" in description else description["info"] | {"integrity": NOT_HASHED}
    return SnapshotFile(description["network"], description["settings"], info, description.get("level"), tensors)


def damaged(setting: str, path: Path, rule: str) -> DamagedFile:
    """The error for a snapshot that cannot be used."""
    fix = (
        "Install the package again" if is_packaged(path) else "Use another snapshot of the run, or copy the file again"
    )
    fix = f"Delete {path} and try again, to download it again" if is_download(path) else fix
    return DamagedFile(f"{setting}={path}", rule=rule, fix=fix)


def _problem(description: dict[str, Any], tensors: Mapping[str, Tensor]) -> str | None:
    if "sha256" in description:
        plain = {key: value for key, value in description.items() if key != "sha256"}
        if content_digest(plain, tensors) != description["sha256"]:
            return "it is damaged: its content does not match its SHA-256"
    kinds: dict[str, type] = {"network": str, "settings": dict, "info": dict}
    for key, kind in kinds.items():
        if not isinstance(description.get(key), kind):
            return f"{key} in its metadata is not of type {kind.__name__}"
    if not isinstance(description.get("level", {}), dict):
        return "its settings are invalid (level is not of type dict)"
    for key, kind in _INFO_TYPES.items():
        if not isinstance(description["info"].get(key, kind()), kind):
            return f"info.{key} in its metadata is not of type {kind.__name__}"
    not_finite = [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if not_finite:
        return f"{not_finite[0]} has values that are not finite"
    return _excess(description["settings"], tensors)


def _excess(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str | None:
    """A setting far too large for these tensors, rejected before a network is built with it."""
    largest = max((max(t.shape) for t in tensors.values() if t.numel() and t.ndim), default=0)
    for key, limit in {"mapping_layers": len(tensors), "num_classes": largest}.items():
        value = settings.get(key, 0)
        if not isinstance(value, int) or value > limit:
            return f"its settings are invalid for {len(tensors)} tensors: {key}={value!r:.40}"
    for key, value in settings.items():
        if isinstance(value, list) and len(value) > _MAX_LIST:
            return f"its settings are invalid: {key} has {len(value)} entries, more than {_MAX_LIST}"
    return None


def content_digest(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the description, and name, dtype, shape and bytes of each tensor, sorted by name."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
