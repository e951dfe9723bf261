"""The experiments of a study: one training run per variant and seed; all are checked before the first one starts.

conf/study/<name>.yaml names the variants, each a few overrides of `train`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylegen.config.bench_composition import split_overrides
from stylegen.config.command_line import key_of
from stylegen.config.rules import check_settings, num_processes
from stylegen.config.settings import CONF, StudySettings
from stylegen.config.train_composition import compose_train
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError, unknown_choice
from stylegen.latent.seeds import parse_seeds
from stylegen.runs.build import build_dataset, build_step
from stylegen.runs.start import find_start


@dataclass(frozen=True)
class Study:
    """The content of a file in conf/study.

    Attributes:
        title: heading of the report.
        common: overrides of `train` for all variants.
        variants: name -> further overrides.
        show: metrics in table and plot; empty for all.
    """

    title: str
    common: list[str]
    variants: dict[str, list[str]]
    show: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """One variant with one seed.

    Attributes:
        overrides: arguments of `train`, except seed and folder.
        settings: the result of composing these overrides.
    """

    variant: str
    seed: int
    overrides: list[str]
    settings: TrainSettings
    folder: Path


def load_study(name: str) -> Study:
    """Read conf/study/<name>.yaml, or the file `name` if it ends in .yaml.

    Raises:
        UserError: no such study, or a malformed file.
    """
    folder = CONF / "study"
    path = Path(name).expanduser() if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file() or (path.parent == folder and path.stem not in {p.stem for p in folder.glob("*.yaml")}):
        raise unknown_choice("name", name, [p.stem for p in folder.glob("*.yaml")])
    try:
        loaded: Any = load_yaml(path)
        study = Study(**loaded)
        valid = study.variants and all(map(_is_list_of_strings, [study.common, study.show, *study.variants.values()]))
    except Exception as error:  # the parser raises many kinds
        raise _malformed(path, (str(error) or type(error).__name__).splitlines()[0][:200]) from error
    if not valid or not all(re.fullmatch(r"[\w.+-]+", variant) for variant in study.variants):
        raise _malformed(path, "variants are names of letters and digits, each with a list of overrides")
    return study


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _malformed(path: Path, why: str) -> UserError:
    return UserError(f"name={path}", rule=f"is not a study ({why})", fix="Use the form of conf/study/conditioning.yaml")


def plan_experiments(settings: StudySettings, study: Study, root: Path) -> list[Experiment]:
    """All experiments, variant by variant, seed by seed, in folders of `root`.

    Raises:
        UserError: an unknown variant, or settings or data of any experiment that cannot be trained.
    """
    experiments = list(_compose(settings, study, root))
    datasets: dict[str, ImageDataset] = {}
    for experiment in {e.variant: e for e in reversed(experiments)}.values():
        _check_settings(experiment.settings, datasets)
    for experiment in experiments:
        _check_length(experiment)
    return experiments


def _compose(settings: StudySettings, study: Study, root: Path) -> Iterator[Experiment]:
    seeds = parse_seeds(settings.seeds)
    for variant in settings.only:
        if variant not in study.variants:
            raise unknown_choice("only", variant, study.variants)
    more = split_overrides("set", settings.set)
    if settings.total_kimg is not None:
        more.append(f"total_kimg={settings.total_kimg}")
    for variant in settings.only or study.variants:
        given = [*study.common, *more, *study.variants[variant]]
        overrides = list({key_of(override): override for override in given}.values())  # the last one applies
        composed = compose_train(overrides)
        for seed in dict.fromkeys(seeds):
            folder = root / f"{variant}-seed{seed}"
            trained = replace(composed, seed=seed, output_dir=str(folder))
            yield Experiment(variant, seed, overrides, trained, folder)


def _check_settings(settings: TrainSettings, datasets: dict[str, ImageDataset]) -> None:
    if num_processes(settings) > 1:
        raise UserError(
            f"trainer.devices={settings.trainer.devices} trainer.num_nodes={settings.trainer.num_nodes}",
            rule="a study trains its experiments one after the other, in one process",
            fix="Leave both at 1; several commands with other variants (only=[...]) may share an output_dir",
        )
    key = repr(settings.data)
    if key not in datasets:
        datasets[key] = build_dataset(settings)
    dataset = datasets[key]
    check_settings(settings, dataset)
    build_step(settings, dataset)


def _check_length(experiment: Experiment) -> None:
    settings = experiment.settings
    seen, total = find_start(settings).images_seen, round(settings.total_kimg * 1000)
    if seen >= total + settings.batch_size:
        raise UserError(
            f"total_kimg={settings.total_kimg:g}",
            rule=f"{experiment.folder} has already been trained for {seen / 1000:g} kimg",
            fix=f"Use total_kimg={seen / 1000:g} or more, or another output_dir",
        )
