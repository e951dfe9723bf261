"""The configuration's schema, made from constructor signatures: a default lives in the constructor and nowhere else.

Every argument can so be overridden without `+`, has its type checked, and stands in `config.yaml` with its value.
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from stylegen.augment import AUGMENTS, Controller
from stylegen.bounds import brief, check, hints_of
from stylegen.config.settings import (
    BenchSettings,
    EvaluateData,
    EvaluateSettings,
    EvaluationOptions,
    EvaluationSettings,
    LoaderSettings,
    PrepareSettings,
    SampleSettings,
    SensitivitySettings,
    StudySettings,
    TrainerSettings,
    TrainSettings,
)
from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare.convert import Recipe
from stylegen.data.prepare.preparation import prepare
from stylegen.errors import UserError, unknown_choice
from stylegen.losses import LOSSES
from stylegen.metrics.protocol.metric import MetricOptions
from stylegen.networks import DISCRIMINATORS, GENERATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.ema import EMA
from stylegen.training.growth import Growth
from stylegen.training.lightning.callbacks.wandb import WandbRun
from stylegen.training.optimizer import AdamSettings

_FROM_DATA = ("resolution", "channels", "num_classes")  # the dataset decides; nobody types them twice


class Part(NamedTuple):
    """Settings that are the arguments of a constructor, those in `without` left out."""

    constructor: Callable[..., Any]
    without: tuple[str, ...] = ()


VERBS: dict[str, list[Part]] = {
    "train": [Part(TrainSettings)],
    "sample": [Part(SampleSettings)],
    "evaluate": [Part(EvaluateSettings)],
    "sensitivity": [Part(SensitivitySettings)],
    "study": [Part(StudySettings)],
    "bench": [Part(BenchSettings)],
    "prepare": [Part(PrepareSettings), Part(prepare, ("source", "out", "recipe")), Part(Recipe)],
}
_OPTIONS = [Part(EvaluationOptions), Part(MetricOptions)]
SECTIONS: dict[str, list[Part]] = {
    "growth": [Part(Growth, ("resolution", "batch_size"))],
    "data": [Part(LoaderSettings), Part(ImageDataset)],
    "evaluate_data": [Part(EvaluateData)],
    "optimizer": [Part(AdamSettings)],
    "ema": [Part(EMA)],
    "evaluation": [Part(EvaluationSettings), *_OPTIONS],
    "evaluation_options": _OPTIONS,
    "trainer": [Part(TrainerSettings)],
    "logger": [Part(WandbRun, ("folder", "config"))],
}
# Groups with a choice, which the setting `name` records.
NAMED: dict[str, dict[str, list[Part]]] = {
    "generator": {name: [Part(network, _FROM_DATA)] for name, network in GENERATORS.items()},
    "discriminator": {name: [Part(network, _FROM_DATA)] for name, network in DISCRIMINATORS.items()},
    "augment": {name: [Part(pipeline), Part(Controller)] for name, pipeline in AUGMENTS.items()},
    "loss": {name: [Part(loss)] for name, loss in LOSSES.items()},
}
_REGULARIZERS = {name: [Part(regularizer)] for name, regularizer in REGULARIZERS.items()}
_GROUPS: dict[str, dict[str, str]] = {  # verb -> section of its configuration -> that section's schema
    "train": {
        name: name
        for name in (
            *("data", "generator", "discriminator", "loss", "regularizers", "augment", "growth", "optimizer", "ema"),
            *("evaluation", "trainer", "logger"),
        )
    },
    "evaluate": {"data": "evaluate_data", "evaluation": "evaluation_options"},
    "sensitivity": {"data": "evaluate_data", "evaluation": "evaluation_options"},
    **{verb: {} for verb in ("sample", "study", "bench", "prepare")},
}
_OPTIONAL = ("augment", "growth", "regularizers")


def settings_of(constructor: Callable[..., Any], without: tuple[str, ...] = ()) -> type[Any]:
    """A dataclass with the constructor's arguments, types and defaults, those in `without` left out.

    Args:
        constructor: a class, a function, or a dataclass.
    """
    hints, defaults = hints_of(constructor, without), _defaults(constructor)
    fields = [(name, _plain_type(hint), _field(defaults[name])) for name, hint in hints.items()]
    return dataclasses.make_dataclass(f"{getattr(constructor, '__name__', 'Anonymous')}Settings", fields)


def _defaults(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Argument -> default, or MISSING."""
    if dataclasses.is_dataclass(constructor):
        made = {f.name: f.default_factory() for f in dataclasses.fields(constructor) if callable(f.default_factory)}
        return {f.name: made.get(f.name, f.default) for f in dataclasses.fields(constructor)}
    parameters = inspect.signature(constructor).parameters.items()
    empty = inspect.Parameter.empty
    return {name: dataclasses.MISSING if p.default is empty else p.default for name, p in parameters}


def _field(default: Any) -> Any:
    if default is dataclasses.MISSING:
        return MISSING
    if isinstance(default, list | tuple):
        return dataclasses.field(default_factory=lambda: list(default))
    return default


def _plain_type(hint: Any) -> Any:
    """The annotation in terms that OmegaConf knows: sequences become lists, paths strings."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _plain_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        plain = [_plain_type(a) for a in arguments if a is not type(None)]
        inner = plain[0] if len(set(map(str, plain))) == 1 or str in plain else typing.Any
        return typing.Optional[inner] if type(None) in arguments else inner  # noqa: UP045
    if origin in (tuple, list, Sequence):
        return list[_plain_type(arguments[0])]  # type: ignore[misc]
    return hint if hint in (int, float, str, bool) else (str if getattr(hint, "__name__", "") == "Path" else Any)


def _structured(parts: Sequence[Part], **extra: Any) -> DictConfig:
    """The typed fields of several parts in one dict, beside which groups may stand, as they do at the root."""
    nodes = [OmegaConf.structured(settings_of(*part)) for part in parts]
    return OmegaConf.create(extra | {key: node._get_node(key) for node in nodes for key in node})


@functools.cache
def register_schema() -> None:
    """Put every schema where conf/ finds it: schema/<group>/<name>. Once for a process, whose store keeps them."""
    store = ConfigStore.instance()
    for name, parts in (VERBS | SECTIONS).items():
        store.store(group="schema", name=name, node=_structured(parts))
    for group, table in NAMED.items():
        for name, parts in table.items():
            store.store(group=f"schema/{group}", name=name, node=_structured(parts, name=name))
    for name, parts in _REGULARIZERS.items():
        store.store(group="schema/regularizers", name=name, node=_structured(parts))


def check_config(verb: str, config: Mapping[str, Any]) -> None:
    """Raise UserError for a setting that is unknown, deleted, of another type or outside its bounds.

    Args:
        config: as plain values; "???" for what is still missing.
    """
    sections = sections_of(verb, config)
    for section, hints in sections.items():
        node, prefix = config, f"{section}." if section else ""
        for part in section.split(".") if section else ():
            node = node[part]
        for name, value in node.items():
            if name in hints:
                if not (isinstance(value, str) and value == MISSING):
                    check(f"{prefix}{name}", value, hints[name])
            elif section or name not in _GROUPS[verb]:
                raise _unknown(section, f"{prefix}{brief(name)}", value, node, [f"{prefix}{known}" for known in hints])
        deleted = next((name for name in hints if name not in node), None)
        if deleted is not None:
            raise _deleted(f"{prefix}{deleted}")


def _unknown(section: str, key: str, value: Any, node: Mapping[str, Any], known: list[str]) -> UserError:
    if section not in NAMED:
        return unknown_choice(key, brief(value), known)
    return UserError(
        f"{key}={brief(value)}",
        rule=f"{section}.name={node['name']} has no such setting",
        fix=f"Use {section}={node['name']}, which brings {', '.join(known)}",
    )


def sections_of(verb: str, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Dotted section -> setting -> annotation: "" for the root, and each group that this configuration has."""
    found = {"": _hints(VERBS[verb])}
    for section in _GROUPS[verb]:
        node = config.get(section)
        if section in _OPTIONAL and not node and not isinstance(node, int | float):
            continue
        if not isinstance(node, dict):
            raise UserError(
                f"{section}={brief(node)}",
                rule="it is a group of settings",
                fix=f"Leave {section} out for its defaults",
            )
        if section == "regularizers":
            found |= _regularizers(node)
        elif section in NAMED:
            if "name" not in node:
                raise _deleted(f"{section}.name")
            check(f"{section}.name", node["name"], str)
            if node["name"] not in NAMED[section]:
                raise unknown_choice(f"{section}.name", node["name"], NAMED[section])
            found[section] = {"name": str} | _hints(NAMED[section][node["name"]])
        else:
            found[section] = _hints(SECTIONS[_GROUPS[verb][section]])
    return found


def _regularizers(node: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for name, settings in node.items():
        if name not in _REGULARIZERS:
            raise unknown_choice("regularizers", brief(name), _REGULARIZERS)
        if not isinstance(settings, dict):
            raise UserError(
                f"regularizers.{name}={brief(settings)}",
                rule="it is a group of settings",
                fix=f"Use ~regularizers.{name} to train without it",
            )
    return {f"regularizers.{name}": _hints(_REGULARIZERS[name]) for name in node}


def _deleted(key: str) -> UserError:
    return UserError(f"~{key}", rule="a setting cannot be deleted", fix=f"Leave it out, and {key} has its default")


def _hints(parts: Sequence[Part]) -> dict[str, Any]:
    return {name: hint for part in parts for name, hint in hints_of(*part).items()}
