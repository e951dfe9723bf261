"""The configuration's schema, made from constructor signatures: a default lives in the constructor and nowhere else.

Every argument can so be overridden without `+`, has its type checked, and stands in `config.yaml` with its value.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from stylegen.augment import AUGMENTS, Controller
from stylegen.data.convert import Recipe
from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare import prepare
from stylegen.losses import LOSSES
from stylegen.metrics.metric import MetricOptions
from stylegen.networks import DISCRIMINATORS, GENERATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.callbacks.wandb import WandbRun
from stylegen.training.ema import EMA
from stylegen.training.growth import Growth
from stylegen.training.optimizer import AdamSettings
from stylegen.verbs.settings import (
    BenchSettings,
    EvaluateData,
    EvaluateSettings,
    FidelityOptions,
    FidelitySettings,
    SampleSettings,
    StudySettings,
    TrainerSettings,
    TrainSettings,
)

_FROM_DATA = ("resolution", "channels", "num_classes")  # the dataset decides; nobody types them twice


def settings_of(constructor: Callable[..., Any], without: Iterable[str] = (), **extra: Any) -> type[Any]:
    """A dataclass with the constructor's arguments, types and defaults, those in `without` left out.

    Args:
        extra: further fields with their defaults, such as the name under which a registry knows the constructor.
    """
    hints = typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)
    fields: list[tuple[str, Any, Any]] = [(name, type(value), value) for name, value in extra.items()]
    for name, parameter in inspect.signature(constructor).parameters.items():
        if name not in without:
            default = dataclasses.MISSING if parameter.default is inspect.Parameter.empty else parameter.default
            fields.append((name, _plain_type(hints[name]), _field(default)))
    return dataclasses.make_dataclass(f"{getattr(constructor, '__name__', 'Anonymous')}Settings", fields)


def _field(default: Any) -> Any:
    if default is dataclasses.MISSING:
        return "???"  # OmegaConf's word for a value that must be given
    if isinstance(default, list | tuple):
        return dataclasses.field(default_factory=lambda: list(default))
    return default


def _plain_type(hint: Any) -> Any:
    """The annotation in terms that OmegaConf knows: sequences become lists, paths strings."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        plain = [_plain_type(a) for a in arguments if a is not type(None)]
        inner = plain[0] if len(set(map(str, plain))) == 1 or str in plain else typing.Any
        return typing.Optional[inner] if type(None) in arguments else inner  # noqa: UP045
    if origin in (tuple, list, Sequence):
        return list[_plain_type(arguments[0])]  # type: ignore[misc]
    return hint if hint in (int, float, str, bool) else (str if getattr(hint, "__name__", "") == "Path" else Any)


def _open(*settings: type[Any]) -> DictConfig:
    """The typed fields of several settings in one dict, beside which groups may stand, as they do at the root."""
    nodes = [OmegaConf.structured(s) for s in settings]
    return OmegaConf.create({key: node._get_node(key) for node in nodes for key in node})


def register_schema() -> None:
    """Put every schema where conf/ finds it: schema/<group>/<name>."""
    store = ConfigStore.instance()
    tasks = settings_of(prepare, ("source", "out", "recipe"), source="???", out="???")
    verbs = {
        "train": TrainSettings,
        "sample": SampleSettings,
        "evaluate": EvaluateSettings,
        "study": StudySettings,
        "bench": BenchSettings,
        "prepare": dataclasses.make_dataclass("PrepareSettings", [], bases=(settings_of(Recipe), tasks)),
    }
    for verb, node in verbs.items():
        store.store(group="schema", name=verb, node=_open(node))
    tables: list[tuple[str, dict[str, Any]]] = [("generator", GENERATORS), ("discriminator", DISCRIMINATORS)]
    for group, table in tables:
        for name, constructor in table.items():
            store.store(group=f"schema/{group}", name=name, node=settings_of(constructor, _FROM_DATA, name=name))
    for name, regularizer in REGULARIZERS.items():
        store.store(group="schema/regularizers", name=name, node=settings_of(regularizer))
    for name, pipeline in AUGMENTS.items():
        settings = (settings_of(pipeline, name=name), settings_of(Controller))
        store.store(group="schema/augment", name=name, node=_open(*settings))
    for name, loss in LOSSES.items():
        store.store(group="schema/loss", name=name, node=settings_of(loss, name=name))
    store.store(group="schema", name="growth", node=settings_of(Growth, ("resolution", "batch_size")))
    store.store(group="schema", name="data", node=settings_of(ImageDataset, workers=0))
    store.store(group="schema", name="evaluate_data", node=EvaluateData)
    store.store(group="schema", name="optimizer", node=settings_of(AdamSettings))
    store.store(group="schema", name="ema", node=settings_of(EMA))
    options = (FidelityOptions, settings_of(MetricOptions))
    store.store(group="schema", name="fidelity_options", node=_open(*options))
    store.store(group="schema", name="fidelity", node=_open(FidelitySettings, *options))
    store.store(group="schema", name="trainer", node=TrainerSettings)
    store.store(group="schema", name="logger", node=settings_of(WandbRun, ("folder", "config")))
