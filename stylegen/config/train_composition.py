"""The settings of a training run, from the command line or the run that it resumes.

A resumed run keeps the settings of its config.yaml, except those given on the command line. With `experiment=`, the
whole recipe counts as given, so that every difference from the run is found. A new run on the user's own images has
settings chosen for them (`stylegen.config.user_dataset`).
"""

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from stylegen.bounds import FilePath, check
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.command_line import key_of
from stylegen.config.compose import compose_tree, plain, typed_values
from stylegen.config.schema import build_settings, check_config
from stylegen.config.sections import flatten
from stylegen.config.settings import CONF
from stylegen.config.train_settings import TrainSettings
from stylegen.config.user_dataset import RECIPES, user_dataset_overrides
from stylegen.config.yaml_file import load_yaml
from stylegen.errors import UserError
from stylegen.former_names import rename_settings

_ALWAYS_GIVEN = ("output_dir", "resume", "max_hours")  # never from the run's config.yaml
_PARTIAL = ("preset", "debug")  # groups of files that set a part of the settings of other groups
_OPENED = ("data.path", "init", "evaluation.weights")  # to choose settings, before the schema's check


def compose_train(overrides: Sequence[str]) -> TrainSettings:
    """The settings of one `train` command.

    Args:
        overrides: `key=value` and `group=option`, as typed, without flags.

    Raises:
        UserError: a bad override; data that cannot be opened; a damaged config.yaml.
    """
    return _frozen(_tree(overrides))


def _frozen(tree: DictConfig) -> TrainSettings:
    settings: TrainSettings = build_settings("train", plain(tree))
    return settings


def _tree(overrides: Sequence[str]) -> DictConfig:
    given = {key_of(override): override.partition("=")[2] for override in overrides}
    folder = _continued([override for override in overrides if key_of(override) in _ALWAYS_GIVEN])
    if folder is None:
        return compose_tree("train", _for_user_dataset(overrides))
    saved = _read_tree(folder.config)
    if given.get("experiment") in RECIPES.values() and saved.auto:  # the run has its settings
        overrides = [override for override in overrides if key_of(override) != "experiment"]
    elif "experiment" in given:
        return compose_tree("train", _for_user_dataset(overrides))
    try:
        config = compose_tree("train", overrides)
    except UserError:  # the setting may belong to a group that only the run has
        groups = [f"{group}={option}" for group, option in _groups_of(plain(saved)).items() if group not in given]
        config = compose_tree("train", [*groups, *overrides])
    with open_dict(saved):
        for key in [*_ALWAYS_GIVEN, *_keys_of(given, config)]:
            if f"~{key}" in overrides:  # a regularizer
                saved.regularizers.pop(key.rpartition(".")[2], None)
            else:
                OmegaConf.update(saved, key, OmegaConf.select(config, key), merge=False, force_add=True)
    return saved


def _for_user_dataset(overrides: Sequence[str]) -> list[str]:
    """The overrides, with settings chosen for the user's images unless an experiment is named."""
    values = typed_values("train", overrides)
    if values is None:  # they depend on other settings
        config, keys = compose_tree("train", overrides), {key_of(override) for override in overrides}
        values = {key: OmegaConf.select(config, key) for key in keys}
        values["experiment"] = next((o.partition("=")[2] for o in overrides if key_of(o) == "experiment"), None)
    known = [path for path in (CONF / "data").glob("*.yaml") if path.stem == values.get("data")]
    if known and "data.path" not in values:
        values["data.path"] = load_yaml(known[0]).get("path")
    for key in (key for key in _OPENED if values.get(key) is not None):
        check(key, values[key], FilePath)
    return user_dataset_overrides(overrides, values)


def output_root(settings: TrainSettings | DictConfig) -> Path | None:
    """`output_dir` as a path, or None for a new numbered folder."""
    return None if settings.output_dir is None else Path(settings.output_dir).expanduser()


def read_run_settings(path: Path) -> TrainSettings:
    """The settings in a run's config.yaml; missing ones have their defaults.

    Raises:
        UserError: the file cannot be read, or is not the configuration of a run.
    """
    return _frozen(_read_tree(path))


def _read_tree(path: Path) -> DictConfig:
    try:
        loaded = load_yaml(path)
        assert isinstance(loaded, dict)
        assert loaded, "an empty file"
        rename_settings(loaded)
        own = _typed({str(key): value for key, value in loaded.items()})
        check_config("train", plain(own))
    except Exception as error:  # the parser and the schema raise many kinds
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"{path}",
            rule=f"it is not the configuration of a run ({reason})",
            fix="Restore it, or name another output_dir",
        ) from error
    return own


def _continued(overrides: Sequence[str]) -> RunFolder | None:
    """The existing run in output_dir= or resume=; None for a new run."""
    values = typed_values("train", overrides)
    if values is None:
        config = compose_tree("train", overrides)
        values = {"output_dir": config.output_dir, "resume": config.resume}
    resume, output_dir = values.get("resume", "auto"), values.get("output_dir")
    chosen = output_dir if resume == "auto" else resume
    if resume == "never" or not isinstance(chosen, str):
        return None
    try:
        path = Path(chosen).expanduser()
        folder = RunFolder(path.parent.parent if path.is_file() else path)
        return folder if folder.is_run() else None
    except (OSError, RuntimeError):  # raised again when the folder is opened; RuntimeError: ~ of an unknown user
        return None


def _typed(own: dict[str, Any]) -> DictConfig:
    """The settings with the schema's types and defaults."""
    typed = copy.deepcopy(_defaults_of(*(f"{group}={option}" for group, option in _groups_of(own).items())))
    with open_dict(typed):
        merged = OmegaConf.merge(typed, own)
    assert isinstance(merged, DictConfig)
    return merged


@functools.lru_cache(maxsize=16)
def _defaults_of(*groups: str) -> DictConfig:
    """The schema's defaults with these options: a continued run reads its config.yaml several times."""
    return compose_tree("train", groups)


def _groups_of(own: Mapping[str, Any]) -> dict[str, str]:
    """The option of each group with settings that depend on the option."""
    return {
        "experiment": "none",
        "data": "images",
        "generator": own["generator"]["name"],
        "discriminator": own["discriminator"]["name"],
        "loss": own["loss"]["name"],
        "regularizers": f"[{','.join(own.get('regularizers') or {})}]",
        "augment": own["augment"]["name"] if own.get("augment") else "none",
        "growth": "stylegan1" if own.get("growth") else "none",
    }


def _keys_of(given: Mapping[str, str], config: DictConfig) -> list[str]:
    """Keys that the command line sets in `config`: settings, whole groups, and the content of preset= and debug=."""
    keys = [key for key in given if key not in _PARTIAL and (key in config or "." in key)]
    for file in (CONF / group / f"{given.get(group)}.yaml" for group in _PARTIAL):
        if file.is_file():
            content = plain(OmegaConf.create(load_yaml(file)))
            keys += [next(iter(entry)).removeprefix("override /") for entry in content.pop("defaults", [])]
            keys += flatten(content)
    return keys
