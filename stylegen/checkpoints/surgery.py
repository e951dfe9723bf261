"""Network surgery on trained weights: another resolution, another number of classes, layers of a second model.

Tensors that both networks have are copied; others are initialized as for a new network, from a fixed seed.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.checkpoints.importers.foreign_model import ForeignModel, Weights
from stylegen.checkpoints.snapshot import ShapesOnly
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, Level, build_generator
from stylegen.networks.mapping import normalize_second_moment

_FIRST_LAYER, _FIRST_BIAS = "mapping.layers.0.weight", "mapping.layers.0.bias"
_TABLE = "mapping.embedding"  # of StyleGAN
_EMBEDDING = ("mapping.embed.weight", _TABLE)
# Of the shapes, which are compared, and of the precision.
_SIZES = {"resolution", "num_classes", "channels", "z_dim", "w_dim", "mapping_dim", "channel_base", "channel_max"}
_SIZES |= {"conv_clamp"}
_SHOWN = 3


def resized(model: ForeignModel, resolution: int) -> ForeignModel:
    """The networks for images of another resolution.

    A StyleGAN2 generator with output skips keeps its image: RGB layers of new resolutions begin at 0, so it is the
    old one up-sampled, or the skip image at the lower resolution. A StyleGAN generator keeps it by its level. In the
    other architectures, the last RGB layer is new. A StyleGAN3 generator keeps its weights, but its layers have other
    cutoffs, so the image changes.

    Args:
        resolution: a power of two from 8 to 2048.

    Raises:
        UserError: another number, or one above the networks' channel_base, where they have no feature maps.
    """
    bases = [own.settings["channel_base"] for own in (model.G_ema, model.D) if own is not None]
    if resolution > (most := 2 ** (min(bases).bit_length() - 1)):
        raise UserError(
            f"resolution={resolution}",
            rule=f"its feature maps allow at most {most} px",
            fix=f"Use resolution={most} or less",
        )
    generators = [None if own is None else _resized_generator(own, resolution) for own in (model.G_ema, model.G)]
    D = None if model.D is None else _copied(model.D, {"resolution": resolution}, _discriminator)
    assert generators[0] is not None
    old = model.G_ema.settings["resolution"]
    note = f"{old} px to {resolution} px: {_change(model.G_ema, generators[0])}"
    return replace(model, G_ema=generators[0], G=generators[1], D=D, notes=[*model.notes, note])


def with_classes(model: ForeignModel, num_classes: int) -> ForeignModel:
    """The networks for another number of classes.

    Classes with an index below both numbers are kept. A new class begins with the mean embedding of the old ones; with
    the same images as all others, if there were none. Without classes, the contribution of the label embedding is
    replaced by its mean: exact for StyleGAN2 with one class, else an approximation. The discriminator's layers that
    depend on the classes are new.

    Raises:
        UserError: layers that are conditioned on the class index; a mapping network without layers.
    """
    G_ema, G = (None if own is None else _classes_of_generator(own, num_classes) for own in (model.G_ema, model.G))
    D = None if model.D is None else _copied(model.D, {"num_classes": num_classes}, _discriminator)
    assert G_ema is not None
    note = f"{model.G_ema.settings['num_classes']} classes to {num_classes}"
    return replace(model, G_ema=G_ema, G=G, D=D, notes=[*model.notes, note])


def blended(model: ForeignModel, other: ForeignModel, low: int, high: int, weight: float = 1.0) -> ForeignModel:
    """G_ema with the synthesis layers of `other` from `low` to `high` px: A + weight (B - A); without G and D.

    The mapping network is the first model's, so blend only models trained from the same weights.

    Raises:
        UserError: layers of different shapes or settings, or no layers at these resolutions.
    """
    a, b = model.G_ema, other.G_ema
    with ShapesOnly():
        slots = build_generator(a.network, **a.settings).slot_resolutions
    last = a.settings["resolution"]
    names = [name for name in a.tensors if max(low, 4) <= _resolution_of(name, slots, last) <= high]
    if not names:
        raise UserError(
            f"layers={low}-{high}", rule=f"this network has layers from 4 to {last} px", fix="Use layers=16-64"
        )
    for name in names:
        found = b.tensors[name].shape if name in b.tensors else None
        if found != a.tensors[name].shape:
            theirs = "missing" if found is None else f"of shape {list(found)}"
            raise UserError(
                f"layers={low}-{high}",
                rule=f"{name} is {theirs} in the second model, and of shape {list(a.tensors[name].shape)} in the first",
                fix="Blend models of the same architecture, or fewer layers",
            )
    if different := _different_settings(a, b):
        raise UserError(
            f"blend at layers={low}-{high}",
            rule=f"the models differ in settings: {'; '.join(different[:_SHOWN])}",
            fix="Blend models of the same architecture",
        )
    tensors = a.tensors | {name: a.tensors[name].lerp(b.tensors[name], weight) for name in names}
    notes = [f"layers of {low} to {high} px: {weight:g} of the second model"]
    notes += [] if model.D is None else ["G and D left out"]
    return ForeignModel(model.kind, replace(a, tensors=tensors), notes=[*model.notes, *notes])


def _different_settings(a: Weights, b: Weights) -> list[str]:
    """Settings of layers that differ although their shapes may agree, such as an activation."""
    return [
        f"{key} is {a.settings[key]} in the first and {b.settings[key]} in the second"
        for key in sorted(a.settings.keys() & b.settings.keys() - _SIZES)
        if json.dumps(a.settings[key]) != json.dumps(b.settings[key])  # a list equals a tuple
    ]


def _resolution_of(name: str, slots: Sequence[int] = (), last: int = 4) -> int:
    """Pixels of a synthesis layer; 0 for other tensors.

    Args:
        slots: resolution of each style slot, for StyleGAN3: of the input and of each layer.
        last: resolution of the image, for the RGB layer of R3GAN.
    """
    parts = name.split(".")
    if parts[0] != "synthesis":
        return 0
    if parts[1] == "layers":
        return slots[int(parts[2]) + 1]
    if parts[1] == "to_rgb":
        return last
    return int(parts[2]) if parts[1] == "blocks" else 4


def _resized_generator(old: Weights, resolution: int) -> Weights:
    new = _copied(old, {"resolution": resolution}, build_generator)
    before = old.settings["resolution"]
    if old.network == "stylegan1":
        level = old.level or Level(before)
        level = level if level.resolution <= resolution else Level(resolution)
        return replace(new, level=None if level == Level(resolution) else level)
    if old.settings.get("architecture") == "skip":
        zero = {
            name: torch.zeros_like(tensor)
            for name, tensor in new.tensors.items()
            if _resolution_of(name) > before and name.endswith((".to_rgb.weight", ".to_rgb.bias"))
        }
        return replace(new, tensors=new.tensors | zero)
    return new


def _copied(old: Weights, changes: Mapping[str, Any], build: Callable[..., nn.Module]) -> Weights:
    """A new network with changed settings, and the tensors that fit."""
    settings = {**old.settings, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = {name: tensor.contiguous() for name, tensor in build(old.network, **settings).state_dict().items()}
    fitting = {name: t for name, t in old.tensors.items() if name in tensors and t.shape == tensors[name].shape}
    return Weights(old.network, settings, tensors | fitting, old.level)


def _discriminator(network: str, **settings: Any) -> nn.Module:
    return DISCRIMINATORS[network](**settings)


def _change(old: Weights, new: Weights) -> str:
    fresh = sum(name not in old.tensors or t.shape != old.tensors[name].shape for name, t in new.tensors.items())
    dropped = sum(name not in new.tensors for name in old.tensors)
    return f"{len(new.tensors) - fresh} tensors of G copied, {fresh} new, {dropped} left out"


def _classes_of_generator(old: Weights, num_classes: int) -> Weights:
    before = old.settings["num_classes"]
    if before == num_classes:
        return old
    with ShapesOnly():
        generator = build_generator(old.network, **old.settings)
    rule = "its mapping network has no layers" if old.settings.get("mapping_layers", 0) == 0 else ""
    if not rule and generator.w_dim != old.settings["w_dim"]:  # its slots hold the label too
        rule = "its layers are conditioned on the class index"
    if rule:
        raise UserError(f"num_classes={num_classes}", rule=rule, fix="Omit num_classes")
    new = _copied(old, {"num_classes": num_classes}, build_generator)
    if before and num_classes:
        changed = _embeddings(old, num_classes)
    else:
        changed = _labels_added(old, new) if num_classes else _labels_removed(old)
    return replace(new, tensors=new.tensors | changed)


def _labels_added(old: Weights, new: Weights) -> dict[str, Tensor]:
    """Embedding or its weights in the first layer are 0: every class has the unconditional images.

    The other factor keeps its random values, without which both had no gradient. Equalized layers divide by
    sqrt(inputs). StyleGAN normalizes z and embedding as one vector: beside zeros, z is longer by the same factor.
    """
    first, weight = old.tensors[_FIRST_LAYER], new.tensors[_FIRST_LAYER].clone()
    width = first.shape[1]
    if _TABLE in new.tensors:
        weight[:, :width] = first
        return {_FIRST_LAYER: weight, _TABLE: torch.zeros_like(new.tensors[_TABLE])}
    weight[:, :width], weight[:, width:] = first * math.sqrt(weight.shape[1] / width), 0
    return {_FIRST_LAYER: weight}


def _labels_removed(old: Weights) -> dict[str, Tensor]:
    """The first layer's bias has the mean contribution of the label embedding; exact for StyleGAN2 with one class."""
    first, width = old.tensors[_FIRST_LAYER], old.settings["z_dim"]
    if _TABLE in old.tensors:
        table = old.tensors[_TABLE]
        scales = (
            0.5 * (1 + table.square().mean(1, keepdim=True))
        ).rsqrt()  # of z and embedding, if z has mean square 1
        table, scale, gain = table * scales, scales.mean().item(), math.sqrt(2)  # of the leaky ReLU, in the weights
    else:
        weight, bias = old.tensors["mapping.embed.weight"], old.tensors["mapping.embed.bias"]
        table = normalize_second_moment(weight.T / math.sqrt(weight.shape[1]) + bias)
        scale = gain = 1.0
    share = first[:, width:] @ table.mean(0) * (gain / math.sqrt(first.shape[1]))
    weight = first[:, :width] * (scale * math.sqrt(width / first.shape[1]))
    return {_FIRST_LAYER: weight, _FIRST_BIAS: old.tensors[_FIRST_BIAS] + share}


def _embeddings(old: Weights, num_classes: int) -> dict[str, Tensor]:
    """The embedding for more or fewer classes."""
    found = {}
    for name in _EMBEDDING:
        if name in old.tensors:
            table = old.tensors[name].T if name.endswith("weight") else old.tensors[name]  # [classes, width]
            table = torch.cat([table, table.mean(0).expand(max(num_classes - len(table), 0), -1)])[:num_classes]
            if name.endswith("weight"):
                table = table.T * math.sqrt(num_classes / old.settings["num_classes"])  # an equalized layer
            found[name] = table.contiguous()
    return found
