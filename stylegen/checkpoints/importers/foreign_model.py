"""What an importer returns: networks of ours, with tensors checked against their settings."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.bounds import brief, check_arguments
from stylegen.checkpoints.snapshot import ShapesOnly
from stylegen.checkpoints.snapshot_file import write_snapshot_file
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, Level, build_generator

_SHOWN = 3


class Inexpressible(UserError):
    """A foreign network that ours cannot represent; for a discriminator, a reason to leave it out."""

    def __init__(self, problem: str, rule: str) -> None:
        super().__init__(problem, rule=rule, fix="Convert a network with the published settings")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.rule)


@dataclass(frozen=True)
class Weights:
    """One network: the name and settings of its constructor, and its state dict (float32, contiguous)."""

    network: str
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    level: Level | None = None


@dataclass(frozen=True)
class ForeignModel:
    """The networks of a foreign file.

    Attributes:
        kind: the program that wrote it.
        G_ema: the generator's average.
        D, G: the discriminator and the generator in training; None if absent.
        notes: what was left out or computed, and why.
    """

    kind: str
    G_ema: Weights
    D: Weights | None = None
    G: Weights | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def fit_generator(
    network: str, settings: Mapping[str, Any], named: "Renamed", part: str, level: Level | None = None
) -> Weights:
    """The generator with these settings and tensors.

    Raises:
        UserError: settings outside their bounds; tensors that are missing, unexpected, of another shape, not finite.
    """
    with ShapesOnly():
        generator = build_generator(network, **settings)
    if level is not None:
        generator.set_level(level.resolution, level.alpha)
    return Weights(network, generator.settings, _fit(generator, named, part), level)


def fit_discriminator(network: str, settings: Mapping[str, Any], named: "Renamed") -> Weights:
    """The same for a discriminator."""
    constructor: Callable[..., nn.Module] = DISCRIMINATORS[network]
    check_arguments("discriminator", constructor, dict(settings))
    bound = inspect.signature(constructor).bind(**settings)
    bound.apply_defaults()
    with ShapesOnly():
        discriminator = constructor(**bound.arguments)
    return Weights(network, dict(bound.arguments), _fit(discriminator, named, "D"))


@dataclass(frozen=True)
class Renamed:
    """Tensors under our names, and the source's names that no row of a table matches."""

    tensors: dict[str, Tensor]
    unexpected: list[str]


Name = str | Callable[[Any], str | None] | None
Row = tuple[str, Name] | tuple[str, Name, Callable[[Tensor], Tensor]]


def rename(state: Mapping[str, Tensor], table: Iterable[tuple[Any, ...]]) -> Renamed:
    """Apply the first row that matches each name: (regular expression, our name, function of the tensor).

    Our name is a template for `re.Match.expand`, a function of the match, or None to drop the tensor.
    """
    rows = [(re.compile(row[0]), row[1], row[2] if len(row) > 2 else None) for row in table]
    tensors: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in state.items():
        found = next(((match, row) for row in rows if (match := row[0].fullmatch(name))), None)
        if found is None:
            unexpected.append(name)
            continue
        match, (_, ours, transform) = found
        ours = ours(match) if callable(ours) else ours and match.expand(ours)
        if ours in tensors:  # two names for one tensor
            unexpected.append(name)
        elif ours is not None:
            try:
                tensors[ours] = tensor if transform is None else transform(tensor)
            except (IndexError, RuntimeError, ValueError):  # a tensor with other dimensions
                unexpected.append(f"{name} of shape {list(tensor.shape)}")
    return Renamed(tensors, unexpected)


def _fit(module: nn.Module, named: Renamed, part: str) -> dict[str, Tensor]:
    expected = module.state_dict()
    missing = [name for name in expected if name not in named.tensors]
    unexpected = [*named.unexpected, *(name for name in named.tensors if name not in expected)]
    both = [(name, named.tensors[name], expected[name]) for name in expected if name in named.tensors]
    shapes = [f"{name} {list(a.shape)} instead of {list(b.shape)}" for name, a, b in both if a.shape != b.shape]
    problems = [
        f"{what} {_few(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("other shapes:", shapes))
        if names
    ]
    if problems:
        raise UserError(
            f"{part} of the file",
            rule=f"its tensors do not fit its settings: {'; '.join(problems)}",
            fix="Use an unmodified file, or check which program wrote it",
        )
    tensors: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, theirs, _ in both:
        tensor = theirs.detach().to(torch.float32).contiguous()
        if not theirs.is_floating_point() or not tensor.isfinite().all():
            rule = "values that are not finite" if theirs.is_floating_point() else f"values of type {theirs.dtype}"
            raise UserError(f"{part} of the file", rule=f"{name} has {rule}", fix="Use another file")
        storage = tensor.untyped_storage()
        if storage.nbytes() != tensor.nbytes or storage.data_ptr() in memory:  # snapshots hold no shared memory
            tensor = tensor.clone()
        memory.add(tensor.untyped_storage().data_ptr())
        tensors[name] = tensor
    return tensors


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:80] for name in names[:_SHOWN]) + more


def save_weights(path: Path, weights: Weights, info: Mapping[str, Any]) -> None:
    """Write a generator as a snapshot, atomically."""
    description: dict[str, Any] = {"network": weights.network, "settings": weights.settings, "info": dict(info)}
    if weights.level is not None:
        description["level"] = dataclasses.asdict(weights.level)
    write_snapshot_file(path, description, weights.tensors)


def check_plain(value: Any, name: str = "a setting of the foreign network") -> None:
    """Raise Inexpressible for settings that are not texts, numbers, null, or lists and dicts of these.

    Messages print settings, and to print a tensor takes time.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_plain(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, name)
    elif not isinstance(value, str | int | float | None) or (isinstance(value, int) and value.bit_length() > 64):
        raise Inexpressible(name, f"must be a string, a 64-bit number or a list, not {type(value).__name__}")


def channel_settings(widths: Mapping[int, int]) -> dict[str, int]:
    """Resolution -> feature maps, as `channel_base` and `channel_max` of min(channel_base / r, channel_max).

    Raises:
        Inexpressible: no such numbers.
    """
    most = max(widths.values())
    base = max((width * r for r, width in widths.items() if width < most), default=most * max(widths))
    if any(min(base // r, most) != width for r, width in widths.items()):
        text = ", ".join(f"{width} at {r} px" for r, width in sorted(widths.items()))
        raise Inexpressible(f"feature maps {text}", "they are not min(channel_base / resolution, channel_max)")
    return {"channel_base": base, "channel_max": most}


def translate(config: Mapping[str, Any], table: Mapping[str, str], without_effect: Collection[str]) -> dict[str, Any]:
    """Constructor arguments under our names.

    Args:
        table: reference name -> our name.
        without_effect: reference names that do not change the network.

    Raises:
        Inexpressible: an argument in neither.
    """
    settings = {}
    for name, value in config.items():
        if name in table:
            settings[table[name]] = value
        elif name not in without_effect:
            raise Inexpressible(f"{name}={brief(value)}", "this setting of the foreign network has no counterpart here")
    return settings
