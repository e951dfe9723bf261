"""Composes the settings of a command with Hydra, checks them, and returns a frozen dataclass."""

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from stylegen.bounds import REQUIRED
from stylegen.config.bench_composition import gather_training
from stylegen.config.command_line import key_of, quote_override, refuse_renamed
from stylegen.config.override_errors import explain
from stylegen.config.schema import (
    build_settings,
    check_config,
    groups_of,
    quoted_names,
    register_schema,
    sections_of,
)
from stylegen.config.sections import as_dict, flatten
from stylegen.config.settings import CONF
from stylegen.errors import UserError


def compose_config(verb: str, overrides: Sequence[str]) -> Any:
    """The settings of one command.

    Args:
        verb: root file in conf/.
        overrides: `key=value` and `group=option`, as typed.

    Raises:
        UserError: an override that Hydra or the schema refuses, with the nearest names.
    """
    if verb == "bench":
        overrides = gather_training(overrides)
    return build_settings(verb, plain(compose_tree(verb, overrides)))


def compose_tree(verb: str, overrides: Sequence[str]) -> DictConfig:
    """The settings of one command as a checked tree; see `compose_config`."""
    for override in overrides:
        if key_of(override).partition(".")[0] == "hydra":  # its folders and launchers are not used
            raise UserError(override, rule=f"{verb} has no setting of this name", fix="`--help` lists all settings")
    refuse_renamed(overrides)
    register_schema(verb)
    quoted = [quote_override(override, quoted_names(verb)) for override in overrides]
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        try:
            config, choices = _composed(verb, quoted)
            OmegaConf.resolve(config)  # conf/trainer/slurm.yaml reads the environment
            for group in (g for g, section in groups_of(verb).items() if section.optional and f"{g}=none" in overrides):
                config[group] = {}  # without the settings that an experiment gives the group
            derived = config.get("auto") or config.get("init") is not None
            given = _given_keys(overrides, choices) if derived else set()
        except (HydraException, OmegaConfBaseException, ValueError, RecursionError) as error:
            raise explain(verb, overrides, error, _chosen_groups(verb, overrides)) from error
    _drop_unchosen(config, verb, choices, overrides)
    _drop_settings_of_other_options(config, verb, overrides)
    check_config(verb, plain(config))
    if config.get("auto"):
        from stylegen.config.auto import apply_auto

        apply_auto(config, given)
    if (
        config.get("init") is not None and "ema" in config
    ):  # a ramp-up would replace the trained G_ema at the first step
        if "ema.rampup" not in given:
            config.ema.rampup = None
        if "ema.ramp_kimg" not in map(key_of, overrides):  # a recipe's is for random weights
            config.ema.ramp_kimg = 0.0
    return config


def _drop_unchosen(config: DictConfig, verb: str, choices: Mapping[str, str], overrides: Sequence[str]) -> None:
    """With `regularizers=drift`, leave out what an experiment sets for its own regularizers; see `several`."""
    with open_dict(config):
        for group in (name for name, section in groups_of(verb).items() if section.kind == "several"):
            names = list(config.get(group) or {})  # Hydra leaves out a group of no options
            chosen = [name for name in names if f"schema/{group}@{group}.{name}" in choices]
            for name in [name for name in names if name not in chosen]:
                for override in (o for o in overrides if o.startswith(f"{group}.{name}.")):
                    fix = f"Use {group}=[{','.join([*chosen, name])}] too"
                    raise UserError(override, rule=f"{name} is not among the {group} of this run", fix=fix)
                del config[group][name]


def _drop_settings_of_other_options(config: DictConfig, verb: str, overrides: Sequence[str]) -> None:
    """With `generator=stylegan3`, leave out what an experiment sets for its own generator and this one does not have.

    Settings on the command line are kept, and refused by the check.
    """
    given = {key_of(override) for override in overrides}
    choices = [name for name, section in groups_of(verb).items() if section.kind == "choice"]
    chosen = [name for name in choices if name in given and f"{name}.name" not in given]
    known = sections_of(verb, plain(config)) if chosen else {}
    with open_dict(config):
        for group in chosen:
            for name in [name for name in config[group] or {} if group in known and name not in known[group]]:
                if f"{group}.{name}" not in given:
                    del config[group][name]


def typed_values(verb: str, overrides: Sequence[str]) -> dict[str, Any] | None:
    """The values of these overrides by key, without composing, which takes most of a command's start-up.

    None if Hydra cannot parse them, or a value depends on other settings.
    """
    quoted = [quote_override(override, quoted_names(verb)) for override in overrides]
    if any("${" in override or override.startswith("~") for override in quoted):
        return None
    try:
        return {
            override.key_or_group: override.value() for override in OverridesParser.create().parse_overrides(quoted)
        }
    except HydraException:
        return None


def _composed(verb: str, quoted: Sequence[str]) -> tuple[DictConfig, Mapping[str, str]]:
    """Hydra's composition of quoted overrides, and the chosen option of each group.

    Settings are merged into the groups' files as Hydra does. Hydra itself does it with any other kind of override, and
    with a refused value, for which it has the message.
    """
    parsed = OverridesParser.create().parse_overrides(list(quoted))
    settings = [override for override in parsed if not (CONF / override.key_or_group).is_dir()]
    simple = [override.type == OverrideType.CHANGE and override.package is None for override in parsed]
    if all(simple) and not any(override.is_sweep_override() for override in parsed):
        groups = tuple(line for line, override in zip(quoted, parsed, strict=True) if override not in settings)
        config, choices = copy.deepcopy(_chosen(verb, groups))
        try:
            for override in settings:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
            return config, choices
        except (OmegaConfBaseException, ValueError):
            pass
    return _by_hydra(verb, quoted)


@functools.lru_cache(maxsize=32)
def _chosen(verb: str, groups: tuple[str, ...]) -> tuple[DictConfig, Mapping[str, str]]:
    """The composition of the groups' files; Hydra takes a quarter of a second."""
    return _by_hydra(verb, groups)


def _chosen_groups(verb: str, overrides: Sequence[str]) -> DictConfig:
    """The composition without settings, and without groups if one of them is wrong; for error messages."""
    groups = [override for override in overrides if (CONF / key_of(override)).is_dir()]
    try:
        return _chosen(verb, tuple(groups))[0]
    except (HydraException, OmegaConfBaseException, ValueError):
        return _chosen(verb, ())[0]


def _by_hydra(verb: str, quoted: Sequence[str]) -> tuple[DictConfig, Mapping[str, str]]:
    """The slow twin of `_composed`."""
    config = compose(verb, list(quoted), return_hydra_config=True)
    choices = {str(group): str(option) for group, option in config.hydra.runtime.choices.items()}
    with open_dict(config):
        del config["hydra"]
    return config, choices


def _given_keys(overrides: Sequence[str], choices: Mapping[str, str]) -> set[str]:
    """Dotted keys that the command line or the chosen files of conf/ set: those that are not constructor defaults."""
    given = {key_of(override) for override in overrides}
    for group, option in choices.items():
        path = CONF / group / f"{option}.yaml"
        if not path.is_file():
            continue
        prefix = "" if "@package _global_" in path.read_text() else f"{group}."
        given |= {prefix + key for key in _keys_of(path)}
    return given


def _keys_of(path: Path) -> set[str]:
    """Dotted keys that a file of conf/ sets, itself or through its defaults list."""
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    bases = [path.with_name(f"{entry}.yaml") for entry in content.pop("defaults", []) if isinstance(entry, str)]
    return set(flatten(content)).union(*(_keys_of(base) for base in bases if base.is_file()))


def check_complete(settings: Any) -> None:
    """Raise UserError for a setting that has no default and was not given."""
    missing = sorted(key for key, value in flatten(as_dict(settings)).items() if value == REQUIRED)
    if missing:
        raise UserError(f"{missing[0]} is missing", rule="it has no default", fix=f"Add {missing[0]}=VALUE")


def plain(config: DictConfig) -> dict[str, Any]:
    """The tree as plain dicts, lists and numbers."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
