"""The state of the page: one JSON object, checked field by field. The address of the page holds the same object.

A `Still` determines one image. A `PageState` adds the model, the view and the keyframes.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from stylegen.bounds import Choice, Depth, Range, brief, check, hints_of
from stylegen.errors import UserError, unknown_choice

MAX_KEYFRAMES = 32
MAX_MOVES = 16
MAX_SECONDS = 600.0
SafeSeed = Annotated[int, Range(0, 2**53 - 1)]  # exact in JavaScript
VIEWS = ("image", "grid", "layers", "run")
GRIDS = ("seeds", "mixing", "truncation")

T = TypeVar("T")


@dataclass(frozen=True)
class Move:
    """A step along a direction.

    Args:
        set: "sefa", "pca", or the name of a file that the server has loaded.
        index: number of the direction in its set, from 0.
        strength: standard deviations of w along the direction.
        layers: first and last style slot; empty for the direction's own.
    """

    set: str
    index: Annotated[int, Range(0, 4095)]
    strength: Annotated[float, Range(-20, 20)]
    layers: Annotated[tuple[int, ...], Range(0, 63, count=(0, 2))] = ()


@dataclass(frozen=True)
class Still:
    """What determines an image.

    Args:
        seed: source A.
        source: projected image in place of the seed.
        x, y: position on the map, the plane through the w of three seeds: (1, 0) is seed + 1, (0, 1) seed + 2.
        psi, cutoff, center: truncation; see `latent.truncation`.
        label: class or mixture, as in `sample`; None for a random class per seed.
        mix_seed, mix_source: source B of style mixing.
        mixed: style slots taken from B.
        noise, noise_strength: mode, and factor on the noise inputs.
        moves: along directions, after truncation and mixing.
    """

    seed: SafeSeed = 0
    source: str | None = None
    x: Annotated[float, Range(-4, 4)] = 0.0
    y: Annotated[float, Range(-4, 4)] = 0.0
    psi: Annotated[float, Range(-4, 4)] = 0.7
    cutoff: Depth | None = None
    center: Annotated[str, Choice(("all", "class"))] = "all"
    label: str | None = None
    mix_seed: SafeSeed = 1
    mix_source: str | None = None
    mixed: Annotated[tuple[int, ...], Range(0, 63, count=(0, 64))] = ()
    noise: Annotated[str, Choice(("const", "none", "random"))] = "const"
    noise_strength: Annotated[float, Range(0, 4)] = 1.0
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Keyframe:
    """A still at a time of the video."""

    seconds: Annotated[float, Range(0, MAX_SECONDS)]
    still: Still = Still()


@dataclass(frozen=True)
class PageState:
    """Everything that a reload of the page restores.

    Args:
        model: name in the list of models.
        still: the image.
        view, grid: what the page shows.
        keyframes: stills of the video at increasing times.
        fps: frames per second of the video.
        loop: whether the video returns to its first keyframe.
    """

    model: str
    still: Still = Still()
    view: Annotated[str, Choice(VIEWS)] = "image"
    grid: Annotated[str, Choice(GRIDS)] = "seeds"
    keyframes: tuple[Keyframe, ...] = ()
    fps: Annotated[float, Range(1, 60)] = 24.0
    loop: bool = True


# Fields with objects in place of numbers and texts: their class, and the largest number of them; 0 for a single one.
_NESTED: dict[tuple[type, str], tuple[type, int]] = {
    (Still, "moves"): (Move, MAX_MOVES),
    (Keyframe, "still"): (Still, 0),
    (PageState, "still"): (Still, 0),
    (PageState, "keyframes"): (Keyframe, MAX_KEYFRAMES),
}


def parse_state(content: Any) -> PageState:
    """The state in a parsed JSON object.

    Raises:
        UserError: a missing or unknown field, or a value out of bounds.
    """
    return parse(PageState, content, "state")


def parse(kind: type[T], content: Any, where: str) -> T:
    """An instance of a dataclass from a parsed JSON object; missing fields have their defaults.

    Args:
        where: its name, for error messages.

    Raises:
        UserError: see `parse_state`.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{where}={brief(content)}", rule="must be a JSON object", fix="Reload the page")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in content:
        if name not in fields:
            raise unknown_choice(where, brief(name), fields)
    for name, field in fields.items():
        if name not in content and field.default is dataclasses.MISSING:
            raise UserError(f"{where} without {name}", rule=f"{name} is required", fix="Reload the page")
    return kind(**{name: _value(kind, name, value, f"{where}.{name}") for name, value in content.items()})


def _value(kind: type, name: str, value: Any, where: str) -> Any:
    nested, most = _NESTED.get((kind, name), (None, 0))
    if nested is None:
        check(where, value, hints_of(kind)[name])
        return tuple(value) if isinstance(value, list) else value
    if not most:
        return parse(nested, value, where)
    if not isinstance(value, list) or len(value) > most:
        raise UserError(f"{where}={brief(value)}", rule=f"must be a list of at most {most}", fix="Remove some")
    return tuple(parse(nested, item, f"{where}.{i}") for i, item in enumerate(value))
