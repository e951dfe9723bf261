"""Builds each verb's Hydra schema from its settings dataclass, and checks composed configurations.

A verb's dataclass is imported when the verb is composed, so that `sample` does not import what only `train` needs.
"""

import dataclasses
import functools
import importlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from stylegen.bounds import REQUIRED, Free, PathRule, Quoted, brief, check, unwrap
from stylegen.config.sections import Section, hints, make, sections, settings_of
from stylegen.config.settings import ROOTS
from stylegen.errors import UserError, unknown_choice


@functools.cache
def root_of(verb: str) -> Any:
    """The settings dataclass of a verb."""
    module, _, name = ROOTS[verb].partition(":")
    return getattr(importlib.import_module(module), name)


def groups_of(verb: str) -> dict[str, Section]:
    """Dotted groups of a verb: name -> section."""
    return {name: section for name, section in sections(root_of(verb)).items() if section.kind != "inline"}


def build_settings(verb: str, config: Mapping[str, Any]) -> Any:
    """The frozen settings of a verb from checked plain values."""
    return make(root_of(verb), config)


@functools.cache
def register_schema(verb: str) -> None:
    """Store the schema of a verb for conf/: schema/<verb>; of `train`, also schema/<group>[/<option>]."""
    store, root, groups = ConfigStore.instance(), _structured((root_of(verb),)), groups_of(verb)
    if verb != "train":
        nested = {name: _structured(section.parts, section.without) for name, section in groups.items()}
        store.store(group="schema", name=verb, node=_joined(root, nested))
        return
    store.store(group="schema", name=verb, node=root)
    for group, section in groups.items():
        if not section.options:
            store.store(group="schema", name=group, node=_structured(section.parts, section.without))
        for name, option in section.options.items():
            extra = {"name": name} if section.kind == "choice" else {}
            node = _structured((option, *section.parts), section.without, **extra)
            store.store(group=f"schema/{group}", name=name, node=node)


def _structured(parts: Sequence[Any], without: tuple[str, ...] = (), **extra: Any) -> DictConfig:
    """Typed fields with the defaults of all parts."""
    known = settings_of(parts, without)
    fields = [(name, _plain_type(hint), _field(default)) for name, (hint, default) in known.items()]
    return _joined(OmegaConf.structured(dataclasses.make_dataclass("Schema", fields)), extra)


def _joined(node: DictConfig, extra: Mapping[str, Any]) -> DictConfig:
    """One open dict of the typed fields of `node` and of `extra`; groups can be added."""
    return OmegaConf.create(dict(extra) | {key: node._get_node(key) for key in node})


def _field(default: Any) -> Any:
    if default is dataclasses.MISSING:
        return REQUIRED
    if isinstance(default, list | tuple):
        return dataclasses.field(default_factory=lambda: list(default))
    return default


def _plain_type(hint: Any) -> Any:
    """The annotation in types that OmegaConf supports: sequences become lists, paths strings."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _plain_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        plain = [_plain_type(a) for a in arguments if a is not type(None)]
        inner = plain[0] if len(set(map(str, plain))) == 1 else typing.Any
        return typing.Optional[inner] if type(None) in arguments else inner  # noqa: UP045
    if origin in (tuple, list, Sequence):
        return list[_plain_type(arguments[0])]  # type: ignore[misc]
    return hint if hint in (int, float, str, bool) else (str if getattr(hint, "__name__", "") == "Path" else Any)


def _all_hints(verb: str) -> Iterator[tuple[str, Any, Section | None]]:
    """(name, annotation, section) of every setting that the verb can have, with any choice of groups."""
    yield from ((name, hint, None) for name, hint in hints((root_of(verb),)).items())
    for group, section in groups_of(verb).items():
        for part in (*section.parts, *section.options.values()):
            prefix = f"{group}.*" if section.kind == "several" else group
            yield from ((f"{prefix}.{name}", hint, section) for name, hint in hints((part,), section.without).items())


@functools.cache
def quoted_names(verb: str) -> frozenset[str]:
    """Last parts of the names of settings to quote before Hydra parses the values."""
    found = ((name, unwrap(hint)[2]) for name, hint, _ in _all_hints(verb))
    return frozenset(
        name.rpartition(".")[2] for name, marks in found if any(isinstance(m, PathRule | Quoted) for m in marks)
    )


@functools.cache
def _free_on_resume() -> frozenset[str]:
    return frozenset(
        name
        for name, hint, section in _all_hints("train")
        if (section is not None and section.free) or any(isinstance(mark, Free) for mark in unwrap(hint)[2])
    )


def fixed_on_resume(key: str) -> bool:
    """Whether a resumed run must keep the training setting with this dotted key."""
    return key not in _free_on_resume()


def check_config(verb: str, config: Mapping[str, Any]) -> None:
    """Raise UserError for a setting that is unknown, deleted, of another type or outside its bounds.

    Args:
        config: tree of plain values; "???" for a missing value.
    """
    groups = groups_of(verb)
    for section, known in sections_of(verb, config).items():
        node, prefix = config, f"{section}." if section else ""
        for part in section.split(".") if section else ():
            node = node[part]
        for name, value in node.items():
            if name in known:
                if not (isinstance(value, str) and value == REQUIRED):
                    check(f"{prefix}{name}", value, known[name])
            elif section or name not in groups:
                chosen = groups.get(section)
                raise _unknown(section, chosen, f"{prefix}{brief(name)}", value, node, [f"{prefix}{k}" for k in known])
        deleted = next((name for name in known if name not in node), None)
        if deleted is not None:
            raise _deleted(f"{prefix}{deleted}")


def _unknown(
    name: str, section: Section | None, key: str, value: Any, node: Mapping[str, Any], known: list[str]
) -> UserError:
    if section is None or section.kind != "choice":
        return unknown_choice(key, brief(value), known)
    options = options_with(section, key)
    return UserError(
        f"{key}={brief(value)}",
        rule=f"{name}.name={node['name']} has no such setting",
        fix=f"Omit {key}, or use {name}={' or '.join(options)}" if options else f"It has {', '.join(known)}",
    )


def options_with(section: Section, key: str) -> list[str]:
    """The options of a choice that have the setting with this dotted key."""
    name = key.rpartition(".")[2]
    return [option for option, part in section.options.items() if name in hints((part,), section.without)]


def sections_of(verb: str, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Dotted section -> setting -> annotation: "" for the root, and each group of this configuration."""
    found = {"": hints((root_of(verb),))}
    for name, section in groups_of(verb).items():
        node = config.get(name)
        if section.optional and not node and not isinstance(node, int | float):
            continue
        if not isinstance(node, dict):
            rule, fix = "must be a group of settings", f"Omit {name} for its defaults"
            raise UserError(f"{name}={brief(node)}", rule=rule, fix=fix)
        if section.kind == "several":
            found |= _subsections(name, section, node)
        elif section.kind == "choice":
            if "name" not in node:
                raise _deleted(f"{name}.name")
            check(f"{name}.name", node["name"], str)
            if node["name"] not in section.options:
                raise unknown_choice(f"{name}.name", node["name"], section.options)
            found[name] = {"name": str} | hints((section.options[node["name"]], *section.parts), section.without)
        else:
            found[name] = hints(section.parts, section.without)
    return found


def _subsections(name: str, section: Section, node: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for option, settings in node.items():
        if option not in section.options:
            raise unknown_choice(name, brief(option), section.options)
        if not isinstance(settings, dict):
            raise UserError(
                f"{name}.{option}={brief(settings)}",
                rule="must be a group of settings",
                fix=f"Use ~{name}.{option} to train without it",
            )
    return {f"{name}.{option}": hints((section.options[option],)) for option in node}


def _deleted(key: str) -> UserError:
    return UserError(f"~{key}", rule="a setting cannot be deleted", fix=f"Omit it for the default of {key}")
