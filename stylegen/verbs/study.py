"""Compare variants of a training under an equal budget: a list of experiments, each an ordinary run, and a report.

conf/study/<name>.yaml names the variants, each a few overrides of `train`. Hydra composes one configuration for every
variant and seed; `train` runs it in <study folder>/<variant>-seed<seed>, or continues or skips what is there.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.command_line import key_of
from stylegen.config.compose import compose_config, config_directory
from stylegen.config.evaluation import extraction_options, protocol_reals
from stylegen.config.rules import check_settings, num_processes
from stylegen.config.settings import StudySettings
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.data.dataset import ImageDataset
from stylegen.device import choose_device
from stylegen.errors import Stopped, UserError, unknown_choice
from stylegen.files import write_text
from stylegen.latent.seeds import parse_seeds
from stylegen.metrics import METRICS
from stylegen.metrics.engine.generated import score_generator
from stylegen.metrics.protocol.card_file import add_card
from stylegen.runs.build import build_dataset, build_step
from stylegen.runs.start import find_start
from stylegen.studies.study_report import Trial, median, speeds, to_csv, to_markdown, to_svg
from stylegen.training.observers.periodic_evaluation import read_card
from stylegen.verbs import train


@dataclass(frozen=True)
class Study:
    """What a file of conf/study says.

    Attributes:
        title: of the report.
        common: overrides of `train` for all variants.
        variants: by name, further overrides.
        show: numbers of the metric card in table and plot; empty for all.
    """

    title: str
    common: list[str]
    variants: dict[str, list[str]]
    show: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """One variant with one seed: a configuration of `train`, and the overrides that make it but for the seed."""

    variant: str
    seed: int
    overrides: list[str]
    config: TrainSettings
    folder: Path


@dataclass(frozen=True)
class StudyResult:
    """Where the report is."""

    folder: Path

    def __str__(self) -> str:
        return "\n".join(f"{what:9s} {self.folder / f'report.{kind}'}" for what, kind in _FILES.items())


_FILES = {"report": "md", "numbers": "csv", "plot": "svg"}


def run(config: StudySettings) -> StudyResult:
    """Train what is not trained yet, then write report.md, report.csv, report.svg and a grid for each variant.

    Raises:
        UserError: an unknown study or variant, or any experiment that cannot be trained; before any is.
        Stopped: by a signal; the same command continues.
    """
    study = load_study(config.name)
    root = Path(config.output_dir or Path("runs") / f"study-{Path(config.name).stem}").expanduser()
    experiments = list(_experiments(config, study, root))
    _check(experiments)
    trials = []
    for number, experiment in enumerate(experiments, 1):
        print(f"{number}/{len(experiments)}  {experiment.variant}  seed {experiment.seed}", file=sys.stderr)
        trials.append(_trial(experiment))
    _write_report(root, study, experiments, trials)
    return StudyResult(root)


def load_study(name: str) -> Study:
    """conf/study/<name>.yaml, or a file of one's own.

    Raises:
        UserError: no such study, or a file of another form.
    """
    folder = config_directory() / "study"
    path = Path(name).expanduser() if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file() or (path.parent == folder and path.stem not in {p.stem for p in folder.glob("*.yaml")}):
        raise unknown_choice("name", name, [p.stem for p in folder.glob("*.yaml")])
    try:
        loaded: Any = load_yaml(path)
        study = Study(**loaded)
        well = study.variants and all(map(_is_list_of_strings, [study.common, study.show, *study.variants.values()]))
    except Exception as error:  # the parser raises many kinds
        raise _malformed(path, (str(error) or type(error).__name__).splitlines()[0][:200]) from error
    if not well or not all(re.fullmatch(r"[\w.+-]+", variant) for variant in study.variants):
        raise _malformed(path, "variants are names of letters and digits, each with a list of overrides")
    return study


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _malformed(path: Path, why: str) -> UserError:
    return UserError(f"name={path}", rule=f"it is no study ({why})", fix="Write it as conf/study/conditioning.yaml is")


def _experiments(config: StudySettings, study: Study, root: Path) -> Iterator[Experiment]:
    """Variant by variant, seed by seed."""
    seeds = parse_seeds(config.seeds)
    for variant in config.only:
        if variant not in study.variants:
            raise unknown_choice("only", variant, study.variants)
    more = shlex.split(config.set)
    if config.total_kimg is not None:
        more.append(f"total_kimg={config.total_kimg}")
    for variant in config.only or study.variants:
        given = [*study.common, *more, *study.variants[variant]]
        overrides = list({key_of(override): override for override in given}.values())  # the last one counts
        composed = compose_config("train", overrides)
        for seed in dict.fromkeys(seeds):
            folder = root / f"{variant}-seed{seed}"
            own = replace(composed, seed=seed, output_dir=str(folder))
            yield Experiment(variant, seed, overrides, own, folder)


def _check(experiments: list[Experiment]) -> None:
    """All that can be wrong with any of them is said before the first one begins."""
    datasets: dict[str, ImageDataset] = {}
    first: dict[str, Experiment] = {e.variant: e for e in reversed(experiments)}
    for experiment in first.values():
        config = experiment.config
        if num_processes(config) > 1:
            raise UserError(
                f"trainer.devices={config.trainer.devices} trainer.num_nodes={config.trainer.num_nodes}",
                rule="a study trains its experiments in one process, one after the other",
                fix="Leave both at 1; several commands with other variants (only=[...]) may share an output_dir",
            )
        dataset = _dataset(config, datasets)
        check_settings(config, dataset)
        build_step(config, dataset)
    for experiment in experiments:
        config = experiment.config
        seen, total = find_start(config, "").images_seen, round(config.total_kimg * 1000)
        if seen >= total + config.batch_size:
            raise UserError(
                f"total_kimg={config.total_kimg:g}",
                rule=f"{experiment.folder} has been trained for {seen / 1000:g} kimg already",
                fix="Give all experiments that length, or another output_dir",
            )


def _dataset(config: TrainSettings, known: dict[str, ImageDataset]) -> ImageDataset:
    key = repr(config.data)
    if key not in known:
        known[key] = build_dataset(config)
    return known[key]


def _trial(experiment: Experiment) -> Trial:
    """Train, or find it trained, and read what came out."""
    try:
        result = train.run(experiment.config)
    except Stopped as stopped:
        where = f"the study stopped in {experiment.folder}; the same command continues it"
        raise Stopped(where, stopped.status) from stopped
    assert result is not None
    folder = RunFolder(result.folder)
    images_seen = round(result.kimg * 1000)
    generator = load_snapshot(result.snapshot).generator
    card = read_card(folder, images_seen)
    if card is None or not _is_complete(card, experiment.config):
        card = _score(experiment.config, folder, images_seen)
    return Trial(
        experiment.variant,
        experiment.seed,
        result.kimg,
        card,
        sum(parameter.numel() for parameter in generator.parameters()),
        median(speeds(folder.metrics)),
    )


def _is_complete(card: Mapping[str, Any], config: TrainSettings) -> bool:
    keys = [key for name in config.evaluation.metrics for key in METRICS[name].keys]
    return card["num_samples"] == config.evaluation.num_samples and all(key in card["metrics"] for key in keys)


def _score(config: TrainSettings, folder: RunFolder, images_seen: int) -> dict[str, Any]:
    """The card of a run that was killed before it was scored, or that others choices scored."""
    generator = load_snapshot(folder.snapshot(images_seen)).generator.to(choose_device(config.trainer.accelerator))
    card = score_generator(
        generator.to(memory_format=torch.channels_last),  # as training has it, so that all digits agree
        protocol_reals(config, build_dataset(config)),
        config.evaluation.metrics,
        config.evaluation.num_samples,
        **extraction_options(config.evaluation),
    )
    add_card(folder.score(images_seen), card.to_dict())
    return card.to_dict()


def _write_report(root: Path, study: Study, experiments: list[Experiment], trials: list[Trial]) -> None:
    show = study.show or [key for key, sense in trials[0].card["better"].items() if sense is not None]
    grids: dict[str, str] = {}
    for experiment, trial in zip(experiments, trials, strict=True):
        if experiment.variant not in grids:
            grids[experiment.variant] = f"grids/{experiment.variant}.png"
            target = root / grids[experiment.variant]
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(RunFolder(experiment.folder).sample(round(trial.kimg * 1000)), target)
    commands = {experiment.variant: experiment.overrides for experiment in experiments}
    write_text(root / "report.csv", to_csv(trials))
    write_text(root / "report.svg", to_svg(study.title, trials, show))
    write_text(
        root / "report.md", to_markdown(study.title, trials, show, grids, commands, _data(experiments[0].config))
    )


def _data(config: TrainSettings) -> str:
    return f"{config.data.path}, batch {config.batch_size}"
