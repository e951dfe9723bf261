"""Trained weights as the beginning of another training: strict, and without running code.

A snapshot holds the averaged generator, which becomes `G` and `G_ema`; a checkpoint holds `G`, `D` and `G_ema`.
Every tensor of the new networks takes the one of its name. Only tensors that depend on the labels may have no
counterpart, when an unconditional model becomes a conditional one, say; they stay as they were initialised. Anything
else that does not fit is another architecture, and refused: half a network draws noise, and nothing says why.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.checkpoints.sealed import load_sealed
from stylegen.checkpoints.snapshot_file import read_snapshot_file
from stylegen.errors import UserError

_PARTS = ("G", "D", "G_ema")
# Settings that do not change what weights of the same shapes mean.
_FREE = ("num_classes", "channel_base", "channel_max", "conv_clamp", "mbstd_group_size")
_SHOWN = 3


@dataclass(frozen=True)
class TrainedWeights:
    """Tensors that a training can begin with.

    Attributes:
        path: of the file.
        networks: state dicts by "G", "D", "G_ema"; without "D" from a snapshot.
        settings: as far as they are known, name and constructor arguments of "generator" and "discriminator".
    """

    path: Path
    networks: dict[str, dict[str, Tensor]]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_weights(path: str | Path) -> TrainedWeights:
    """Read a snapshot, a checkpoint, or the last checkpoint of a run folder; nothing in them is executed.

    Raises:
        UserError: nothing there, or a file that is damaged or of another kind.
    """
    given = Path(path).expanduser()
    file = given / "checkpoints" / "last.ckpt" if given.is_dir() else given
    if not file.is_file():
        raise UserError(
            f"init={path}",
            rule=f"there is no file {file}",
            fix="Name a snapshot (.safetensors), a checkpoint (.ckpt), or a run folder with checkpoints",
        )
    return _read_snapshot(file) if file.suffix == ".safetensors" else _read_checkpoint(file)


def _read_snapshot(path: Path) -> TrainedWeights:
    file = read_snapshot_file(path, "init")
    settings = {"generator": {"name": file.network, **file.settings}}
    return TrainedWeights(path, {"G": file.tensors, "G_ema": file.tensors}, settings)


def _read_checkpoint(path: Path) -> TrainedWeights:
    checkpoint = load_sealed(path)
    try:
        state = checkpoint["weights"]
        networks = {
            part: {name.removeprefix(f"{part}."): t for name, t in state.items() if name.startswith(f"{part}.")}
            for part in _PARTS
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "it holds no weights by name") from error
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or (tensor.is_floating_point() and not tensor.isfinite().all()):
            raise _unreadable(path, f"{name} holds values that are not finite, or no numbers")
    missing = [part for part, tensors in networks.items() if not tensors]
    if missing:
        raise _unreadable(path, f"it holds no {' and no '.join(missing)}")
    return TrainedWeights(path, networks)


def label_dependent(build: Callable[[int], nn.Module]) -> set[str]:
    """Names of the tensors that exist, or have their shape, because of the number of classes.

    Args:
        build: number of classes -> the network; called on the meta device, where weights cost nothing.
    """
    with torch.device("meta"):
        shapes = [{name: t.shape for name, t in build(classes).state_dict().items()} for classes in (0, 1, 2)]
    names = set().union(*shapes)
    return {name for name in names if len({s.get(name) for s in shapes}) > 1}


def transfer(
    weights: TrainedWeights,
    networks: Mapping[str, nn.Module],
    labels: Mapping[str, Collection[str]],
    settings: Mapping[str, Mapping[str, Any]],
) -> str:
    """Copy the weights into the networks -> one sentence about what was and what was not copied.

    Args:
        networks: by "G", "D", "G_ema".
        labels: by the same, names of the tensors that depend on the labels.
        settings: of "generator" and "discriminator", to compare with those of the weights.

    Raises:
        UserError: a tensor that does not depend on the labels is missing, left over or of another shape, or a
            setting differs that changes what the weights mean; then nothing was copied.
    """
    kept: dict[str, list[str]] = {}
    copied: dict[str, dict[str, Tensor]] = {}
    wrong = _different_settings(weights.settings, settings)
    for part, tensors in weights.networks.items():
        own = networks[part].state_dict()
        fitting = {name for name in own.keys() & tensors.keys() if own[name].shape == tensors[name].shape}
        copied[part] = {name: tensors[name] for name in fitting}
        others = [name for name in [*own, *(tensors.keys() - own.keys())] if name not in fitting]
        kept[part] = [f"{part}.{name}" for name in sorted(others) if name in labels[part]]
        wrong += [_mismatch(part, name, own, tensors) for name in others if name not in labels[part]]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UserError(
            f"init={weights.path}",
            rule=f"it holds other networks, {len(wrong)} thing(s) do not fit: {'; '.join(wrong[:_SHOWN])}{more}",
            fix="Give the settings that it was trained with (generator.*, discriminator.*, pictures of its "
            "resolution), or other weights",
        )
    for part, tensors in copied.items():
        networks[part].load_state_dict(tensors, strict=False)
    return _sentence(weights, [name for names in kept.values() for name in names])


def _different_settings(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Shapes do not tell a resampling filter or an activation; the settings do."""
    return [
        f"{network}.{key} is {old[network][key]} there and {new[network][key]} here"
        for network in old.keys() & new.keys()
        for key in sorted(old[network].keys() & new[network].keys())
        if key not in _FREE and old[network][key] != new[network][key]
    ]


def _mismatch(part: str, name: str, own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    if name not in found:
        return f"{part}.{name} is not in it"
    if name not in own:
        return f"{part}.{name} is in it only"
    return f"{part}.{name} is {list(found[name].shape)} there and {list(own[name].shape)} here"


def _sentence(weights: TrainedWeights, kept: list[str]) -> str:
    found = " and ".join(["generator", "discriminator"] if "D" in weights.networks else ["generator"])
    text = f"init={weights.path} gives the {found}"
    if "D" not in weights.networks:
        text += "; it holds no discriminator, which begins with random weights"
    if kept:
        text += f"; not copied, because they depend on the labels: {', '.join(kept)}"
    return text


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        f"init={path}",
        rule=f"it cannot be read ({reason.splitlines()[0][:200]})",
        fix="Name a snapshot (.safetensors), a checkpoint (.ckpt), or a run folder with checkpoints",
    )
