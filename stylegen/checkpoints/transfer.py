"""Initializes networks from trained weights, strictly and without running code.

A snapshot holds the EMA of the generator, which initializes `G` and `G_ema`; a checkpoint holds `G`, `D` and `G_ema`.
Tensors are copied by name. Only label-dependent tensors may be missing or extra, for example from an unconditional to a
conditional model; they keep their initial values. Any other mismatch means another architecture and is an
error, because a partly initialized network trains silently.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.bounds import brief, check, hints_of
from stylegen.checkpoints.find_model import find_native, is_snapshot
from stylegen.checkpoints.sealed import load_sealed
from stylegen.checkpoints.snapshot import tensor_problems
from stylegen.checkpoints.snapshot_file import read_snapshot_file
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, GENERATORS

_PARTS = ("G", "D", "G_ema")
# Settings that may differ between weights of the same shapes.
_FREE = ("num_classes", "channel_base", "channel_max", "conv_clamp", "mbstd_group_size")
_SHOWN = 3
_KNOWN: Mapping[str, Mapping[str, Callable[..., nn.Module]]] = {
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
}


@dataclass(frozen=True)
class TrainedWeights:
    """Weights to initialize networks with.

    Attributes:
        path: the snapshot or checkpoint with these weights.
        networks: state dicts of "G", "D", "G_ema"; a snapshot has no "D".
        settings: name and constructor arguments of "generator" and "discriminator", if known.
        images_seen: number of images at a run's checkpoint, else None.
    """

    path: Path
    networks: dict[str, dict[str, Tensor]]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    images_seen: int | None = None


def read_weights(path: str | Path, setting: str = "init") -> TrainedWeights:
    """Read a snapshot, a checkpoint, the last checkpoint of a run folder, or a packaged model; executes none of it.

    Args:
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: no such file, or a damaged or unsupported one.
    """
    given = find_native(path, setting, all_networks=True)
    file = given / "checkpoints" / "last.ckpt" if given.is_dir() else given
    if not file.is_file():
        raise UserError(f"{setting}={path}", rule=f"there is no file {file}", fix=_fix(setting))
    return _read_snapshot(file, setting) if is_snapshot(file) else _read_checkpoint(file, setting)


def _read_snapshot(path: Path, setting: str) -> TrainedWeights:
    file = read_snapshot_file(path, setting)
    settings = {"generator": {"name": file.network, **file.settings}}
    return TrainedWeights(path, {"G": file.tensors, "G_ema": file.tensors}, settings)


def _read_checkpoint(path: Path, setting: str) -> TrainedWeights:
    checkpoint = load_sealed(path)
    try:
        state = checkpoint["weights"]
        networks = {
            part: {name.removeprefix(f"{part}."): t for name, t in state.items() if name.startswith(f"{part}.")}
            for part in _PARTS
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(setting, path, "it holds no weights") from error
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or (tensor.is_floating_point() and not tensor.isfinite().all()):
            raise _unreadable(setting, path, f"{name} is not a tensor of finite values")
    missing = [part for part, tensors in networks.items() if not tensors]
    if missing:
        raise _unreadable(setting, path, f"it lacks {' and '.join(missing)}")
    clock = checkpoint.get("clock")
    seen = clock.get("images_seen") if isinstance(clock, dict) else None
    seen = seen if type(seen) is int and seen >= 0 else None
    return TrainedWeights(path, networks, _described(checkpoint, setting, path), seen)


def _described(checkpoint: Mapping[str, Any], setting: str, path: Path) -> dict[str, dict[str, Any]]:
    """The settings of a converted checkpoint's networks; a run's are in its config.yaml.

    They become settings of a run, so a file may only hold arguments of the networks, within their bounds.
    """
    found = checkpoint.get("networks")
    if found is None:
        return {}
    try:
        for part, known in _KNOWN.items():
            own = dict(found[part])
            hints = hints_of(known[own.pop("name")])
            for key, value in own.items():
                check(key, value, hints[key])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(
            setting, path, f"it describes its networks otherwise than convert does ({brief(error)})"
        ) from error
    return {part: found[part] for part in _KNOWN}


def label_dependent(build: Callable[[int], nn.Module], num_classes: int = 0) -> set[str]:
    """Names of the tensors that depend on the number of classes, in existence or shape.

    Args:
        build: number of classes -> network, or UserError for a number that the network does not support; called on the
            meta device, without memory for weights.
        num_classes: classes of the run, 0 for none; compared with one more, and with 0, 1 and 2.
    """
    shapes = []
    for classes in sorted({0, 1, 2, num_classes, num_classes + 1}):
        with torch.device("meta"), contextlib.suppress(UserError):
            shapes.append({name: t.shape for name, t in build(classes).state_dict().items()})
    names = set().union(*shapes)
    return {name for name in names if len({s.get(name) for s in shapes}) > 1}


def transfer(
    weights: TrainedWeights,
    networks: Mapping[str, nn.Module],
    labels: Mapping[str, Collection[str]],
    settings: Mapping[str, Mapping[str, Any]],
) -> str:
    """Copy the weights into the networks and return a one-sentence summary.

    Args:
        networks: "G", "D" and "G_ema".
        labels: names of each network's label-dependent tensors.
        settings: name and constructor arguments of "generator" and "discriminator", compared with the weights' own.

    Raises:
        UserError: a tensor that does not depend on the labels is missing, extra or of another shape, or a setting that
            affects the weights differs. In that case nothing is copied.
    """
    kept: dict[str, list[str]] = {}
    copied: dict[str, dict[str, Tensor]] = {}
    wrong = _different_settings(weights.settings, settings)
    for part, tensors in weights.networks.items():
        expected = networks[part].state_dict()
        fitting = {n for n in expected.keys() & tensors.keys() if expected[n].shape == tensors[n].shape}
        copied[part] = {name: tensors[name] for name in fitting}
        others = [name for name in [*expected, *(tensors.keys() - expected.keys())] if name not in fitting]
        kept[part] = [f"{part}.{name}" for name in sorted(others) if name in labels[part]]
        strict = {name for name in others if name not in labels[part]}
        theirs, ours = ({name: t for name, t in state.items() if name in strict} for state in (tensors, expected))
        wrong += [f"{part}.{problem}" for problem in tensor_problems(theirs, ours)]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UserError(
            f"init={weights.path}",
            rule=f"it holds a different network, with {len(wrong)} mismatch(es): {'; '.join(wrong[:_SHOWN])}{more}",
            fix="Omit experiment=, generator.*, discriminator.* and data.resolution: the run then has its "
            "networks; or use other weights",
        )
    for part, tensors in copied.items():
        networks[part].load_state_dict(tensors, strict=False)
    return _summary(weights, [name for names in kept.values() for name in names])


def _different_settings(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Differences that do not affect shapes, such as a resampling filter or an activation."""
    return [
        f"{network}.{key} is {old[network][key]} in the file and {new[network][key]} here"
        for network in old.keys() & new.keys()
        for key in sorted(old[network].keys() & new[network].keys())
        if key not in _FREE and old[network][key] != new[network][key]
    ]


def _summary(weights: TrainedWeights, kept: list[str]) -> str:
    found = " and ".join(["generator", "discriminator"] if "D" in weights.networks else ["generator"])
    text = f"init={weights.path} initializes the {found}"
    if "D" not in weights.networks:
        text += "; the file holds no discriminator, which starts from random weights"
    if kept:
        text += f"; not copied, because they depend on labels: {', '.join(kept)}"
    return text


def _unreadable(setting: str, path: Path, reason: str) -> UserError:
    rule = f"it cannot be read ({reason.splitlines()[0][:200]})"
    return UserError(f"{setting}={path}", rule=rule, fix=_fix(setting))


def _fix(setting: str) -> str:
    return f"Use {setting}= with a snapshot (.safetensors), a checkpoint (.ckpt), or a run folder with checkpoints"
