"""Sections of a settings dataclass: groups of settings that are the arguments of constructors.

A field made by `group`, `choice` or `several` is a dotted group of its own (`optimizer.g_lr`); the settings of one made
by `inline` are at the same level as the other fields. `make` builds the frozen record from plain values; `as_dict` is
its inverse.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from stylegen.bounds import hints_of


class Section(NamedTuple):
    """A group of settings, composed of parts.

    Attributes:
        parts: constructors; their arguments are the settings of this section, except those in `without`.
        options: further constructors by name, for a choice by `name`.
        kind: "group", "choice", "several" or "inline".
        optional: an empty section becomes None.
        free: all its settings may change when a run is resumed.
    """

    parts: tuple[Callable[..., Any], ...]
    options: Mapping[str, Callable[..., Any]] = {}
    kind: str = "group"
    without: tuple[str, ...] = ()
    optional: bool = False
    free: bool = False


class Arguments(Mapping[str, Any]):
    """Arguments of a constructor: a read-only mapping with its keys as attributes."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or key not in self._values:
            raise AttributeError(key)
        return self._values[key]

    def __setattr__(self, key: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {key!r}")

    def __repr__(self) -> str:
        return f"Arguments({self._values!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Arguments, (self._values,)


@dataclasses.dataclass(frozen=True)
class Component:
    """The name of a constructor in a table, and its arguments, also as attributes."""

    name: str
    arguments: Arguments

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or key == "arguments":
            raise AttributeError(key)
        return getattr(self.arguments, key)


def group(*parts: Any, without: tuple[str, ...] = (), optional: bool = False, resume: str = "fixed") -> Any:
    """A group of settings: an instance of the one dataclass given, or `Arguments` of several constructors."""
    return _field(Section(parts, without=without, optional=optional, free=resume == "free"))


def inline(*parts: Any, without: tuple[str, ...] = ()) -> Any:
    """Like `group`, but its settings are at the same level as the other fields."""
    return _field(Section(parts, kind="inline", without=without))


def choice(table: Mapping[str, Any], *parts: Any, without: tuple[str, ...] = (), optional: bool = False) -> Any:
    """A `Component`: a constructor chosen by `name` from `table`; the section also takes the arguments of `parts`."""
    return _field(Section(parts, table, "choice", without, optional))


def several(table: Mapping[str, Any]) -> Any:
    """Any number of constructors of `table`, each a subsection of the same name."""
    return _field(Section((), table, "several", optional=True))


def _field(section: Section) -> Any:
    return dataclasses.field(metadata={"section": section})


def sections(constructor: Any) -> dict[str, Section]:
    """Field -> section, of a settings dataclass."""
    if not dataclasses.is_dataclass(constructor):
        return {}
    return {f.name: f.metadata["section"] for f in dataclasses.fields(constructor) if "section" in f.metadata}


def settings_of(
    constructors: Iterable[Callable[..., Any]], without: tuple[str, ...] = ()
) -> dict[str, tuple[Any, Any]]:
    """Setting -> (annotation with its bounds, default or `dataclasses.MISSING`); without the groups of a dataclass."""
    found: dict[str, tuple[Any, Any]] = {}
    for constructor in constructors:
        inner, given = sections(constructor), _defaults(constructor)
        for name, hint in hints_of(constructor, without).items():
            if name not in inner:
                found[name] = hint, given[name]
            elif inner[name].kind == "inline":
                found |= settings_of(inner[name].parts, inner[name].without)
    return found


def hints(constructors: Iterable[Callable[..., Any]], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Setting -> annotation; see `settings_of`."""
    return {name: hint for name, (hint, _) in settings_of(constructors, without).items()}


def _defaults(constructor: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(constructor):
        fields = dataclasses.fields(constructor)
        return {f.name: f.default_factory() if callable(f.default_factory) else f.default for f in fields}
    parameters = inspect.signature(constructor).parameters.items()
    empty = inspect.Parameter.empty
    return {name: dataclasses.MISSING if p.default is empty else p.default for name, p in parameters}


def make(cls: Any, values: Mapping[str, Any]) -> Any:
    """The frozen record of a settings dataclass from checked plain values."""
    inner = sections(cls)
    record = {}
    for field in dataclasses.fields(cls):
        section = inner.get(field.name)
        if section is None:
            record[field.name] = values[field.name]
        elif section.kind == "inline":
            own = {name: values[name] for name in hints(section.parts, section.without)}
            record[field.name] = _make_section(section, own)
        else:
            record[field.name] = _make_section(section, values.get(field.name) or {})
    return cls(**record)


def _make_section(section: Section, values: Mapping[str, Any]) -> Any:
    if section.kind == "several":
        return Arguments({name: Arguments(arguments) for name, arguments in values.items()})
    if section.optional and not values:
        return None
    if section.kind == "choice":
        return Component(values["name"], Arguments({key: value for key, value in values.items() if key != "name"}))
    if len(section.parts) == 1 and dataclasses.is_dataclass(section.parts[0]) and not section.without:
        return make(section.parts[0], values)
    return Arguments(values)


def as_dict(settings: Any) -> dict[str, Any]:
    """A settings record as plain dicts, lists and numbers, for files and loggers; {} for a group that is None."""
    if isinstance(settings, Component):
        return {"name": settings.name, **as_dict(settings.arguments)}
    if isinstance(settings, Mapping):
        return {key: _plain(value) for key, value in settings.items()}
    found: dict[str, Any] = {}
    inner = sections(settings)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name not in inner:
            found[field.name] = _plain(value)
        elif inner[field.name].kind == "inline":
            found |= as_dict(value)
        else:
            found[field.name] = {} if value is None else as_dict(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Component | Mapping) or dataclasses.is_dataclass(value):
        return as_dict(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of plain values by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
