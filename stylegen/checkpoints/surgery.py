"""Network surgery on trained weights: another resolution, another number of classes, layers of a second model.

Tensors that both networks have are copied; others are initialized as for a new network, from a fixed seed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.checkpoints.importers.foreign_model import ForeignModel, Weights
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, Level, build_generator
from stylegen.networks.mapping import normalize_second_moment

_FIRST_LAYER, _FIRST_BIAS = "mapping.layers.0.weight", "mapping.layers.0.bias"
_EMBEDDING = ("mapping.embed.weight", "mapping.embedding")


def resized(model: ForeignModel, resolution: int) -> ForeignModel:
    """The networks for images of another resolution.

    A StyleGAN2 generator with output skips keeps its image: RGB layers of new resolutions begin at 0, so it is the
    old one up-sampled, or the skip image at the lower resolution. A StyleGAN generator keeps it by its level. In the
    other architectures, the last RGB layer is new.

    Args:
        resolution: a power of two from 8 to 2048.
    """
    generators = [None if own is None else _resized_generator(own, resolution) for own in (model.G_ema, model.G)]
    D = None if model.D is None else _copied(model.D, {"resolution": resolution}, _discriminator)
    assert generators[0] is not None
    old = model.G_ema.settings["resolution"]
    note = f"{old} px to {resolution} px: {_change(model.G_ema, generators[0])}"
    return replace(model, G_ema=generators[0], G=generators[1], D=D, notes=[*model.notes, note])


def with_classes(model: ForeignModel, num_classes: int) -> ForeignModel:
    """The networks for another number of classes.

    Classes with an index below both numbers are kept. A new class begins with the mean embedding of the old ones; with
    the same images as all others, if there were none. Without classes, the embedding's share is replaced by its mean.
    The discriminator's layers that depend on the classes are new.
    """
    G_ema, G = (None if own is None else _classes_of_generator(own, num_classes) for own in (model.G_ema, model.G))
    D = None if model.D is None else _copied(model.D, {"num_classes": num_classes}, _discriminator)
    assert G_ema is not None
    note = f"{model.G_ema.settings['num_classes']} classes to {num_classes}"
    return replace(model, G_ema=G_ema, G=G, D=D, notes=[*model.notes, note])


def blended(model: ForeignModel, other: ForeignModel, low: int, high: int, weight: float = 1.0) -> ForeignModel:
    """G_ema with the synthesis layers of `other` from `low` to `high` px: A + weight (B - A); without G and D.

    The mapping network is the first model's, so both must descend from the same weights for an image to remain one.

    Raises:
        UserError: layers of different shapes, or no layers at these resolutions.
    """
    a, b = model.G_ema, other.G_ema
    names = [name for name in a.tensors if low <= _resolution_of(name) <= high]
    if not names:
        last = a.settings["resolution"]
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
    tensors = a.tensors | {name: a.tensors[name].lerp(b.tensors[name], weight) for name in names}
    note = f"layers of {low} to {high} px: {weight:g} of the second model"
    return ForeignModel(model.kind, replace(a, tensors=tensors), notes=[*model.notes, note])


def _resolution_of(name: str) -> int:
    """Pixels of a synthesis layer; 0 for other tensors."""
    parts = name.split(".")
    if parts[0] != "synthesis":
        return 0
    return int(parts[2]) if parts[1] == "blocks" else 4


def _resized_generator(old: Weights, resolution: int) -> Weights:
    new = _copied(old, {"resolution": resolution}, build_generator)
    before = old.settings["resolution"]
    if old.network == "stylegan1":
        level = min(before if old.level is None else old.level.resolution, resolution)
        return replace(new, level=None if level == resolution else Level(level))
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
    new = _copied(old, {"num_classes": num_classes}, build_generator)
    if before == num_classes:
        return new
    if before and num_classes:
        return replace(new, tensors=new.tensors | _embeddings(old, num_classes))
    if _FIRST_LAYER not in new.tensors:
        raise UserError(
            f"num_classes={num_classes}",
            rule="this mapping network has no layers",
            fix="Use a network with mapping layers",
        )
    changed = _labels_added(old, new) if num_classes else _labels_removed(old)
    return replace(new, tensors=new.tensors | changed)


def _labels_added(old: Weights, new: Weights) -> dict[str, Tensor]:
    """The first layer ignores the embedding, which is 0: every class has the unconditional images.

    Equalized layers divide by sqrt(inputs). StyleGAN normalizes z and embedding as one vector: beside zeros, z is
    longer by the same factor.
    """
    first, weight = old.tensors[_FIRST_LAYER], torch.zeros_like(new.tensors[_FIRST_LAYER])
    joint = "mapping.embedding" in new.tensors
    weight[:, : first.shape[1]] = first * (1.0 if joint else math.sqrt(weight.shape[1] / first.shape[1]))
    return {_FIRST_LAYER: weight} | {n: torch.zeros_like(new.tensors[n]) for n in _EMBEDDING if n in new.tensors}


def _labels_removed(old: Weights) -> dict[str, Tensor]:
    """The first layer's bias has the mean of the embedding's share; exact with one class."""
    first, width = old.tensors[_FIRST_LAYER], old.settings["z_dim"]
    if "mapping.embedding" in old.tensors:
        table = old.tensors["mapping.embedding"]
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
