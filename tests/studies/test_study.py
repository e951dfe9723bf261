"""Contents of a study's file, its report, and errors before any training."""

import csv
import dataclasses
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from stylegen import randomness
from stylegen.__main__ import main
from stylegen.config.settings import CONF, StudySettings
from stylegen.errors import UserError
from stylegen.images import write_png
from stylegen.studies.plan import Study, load_study, plan_experiments
from stylegen.studies.study_report import mean_and_spread, ranked, to_csv, to_markdown, to_svg
from stylegen.studies.trial import Trial, median, recorded
from tests.support.datasets import encode, write_folder
from tests.support.runs import refused
from tests.support.tiny import TINY_RUN

CONDITIONINGS = (
    "adain instance_film film layer_film batch_film scale_only shift_only cin self_modulation se concat none"
)
SHOW = ["fd", "recall"]


def trial(variant: str, seed: int, fd: float, recall: float) -> Trial:
    card = {
        "metrics": {"fd": fd, "fd_std": 0.1, "recall": recall},
        "better": {"fd": "lower", "fd_std": None, "recall": "higher"},
        "references": {"fd": {"real_vs_real": 0.5, "averaged_2x2": 9.0}},
        "num_samples": 100,
    }
    return Trial(variant, seed, 4.0, card, 12345, 2.5 + seed, 5 + 2 * seed)


TRIALS = [
    *(trial("plain", seed, fd, 0.2) for seed, fd in enumerate((3.0, 4.0, 5.0))),
    *(trial("fancy", seed, fd, 0.25) for seed, fd in enumerate((2.0, 2.0, 2.3))),
]
GRIDS = {"plain": "grids/plain.png", "fancy": "grids/fancy.png"}
COMMANDS = {"plain": ["data.resolution=16", "a=1"], "fancy": ["data.resolution=16", "a=2"]}


def test_the_conditioning_study_compares_the_twelve() -> None:
    study = load_study("conditioning")
    assert list(study.variants) == CONDITIONINGS.split()
    assert all(own == [f"generator.conditioning={name}"] for name, own in study.variants.items())


@pytest.mark.parametrize("path", sorted((CONF / "study").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_study_can_be_loaded(path: Path) -> None:
    assert load_study(path.stem).variants


def test_mean_deviation_and_rank() -> None:
    assert mean_and_spread(TRIALS[:3], "fd") == (4.0, 1.0)
    assert mean_and_spread(TRIALS[:1], "fd") == (3.0, None)
    assert list(ranked(TRIALS, "fd")) == list(ranked(TRIALS, "recall")) == ["fancy", "plain"]


def test_the_table_for_the_eye() -> None:
    text = to_markdown("Title", TRIALS, SHOW, GRIDS, COMMANDS, "portraits")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "| variant | fd (lower) | recall (higher) | parameters | s/kimg | CPU s/kimg | samples |"
    assert rows[1] == "| fancy | 2.1 ± 0.17 | 0.25 ± 0 | 12,345 | 3.5 | 7.0 | [grid](grids/fancy.png) |"
    assert rows[2] == "| plain | 4 ± 1 | 0.2 ± 0 | 12,345 | 3.5 | 7.0 | [grid](grids/plain.png) |"
    assert "- fd: real vs real 0.5, averaged 2x2 9" in text
    assert "python train.py data.resolution=16\n" in text
    assert "- fancy: `a=2`" in text
    single = to_markdown("Title", TRIALS[:1], SHOW, GRIDS, COMMANDS, "portraits")
    assert "| plain | 3 | 0.2 | 12,345 | 2.5 | 5.0 |" in single
    card = TRIALS[0].card
    large = dataclasses.replace(TRIALS[0], card={**card, "metrics": {**card["metrics"], "fd": 1234.0}})
    assert "| plain | 1230 | 0.2 |" in to_markdown("Title", [large], SHOW, GRIDS, COMMANDS, "portraits")


def test_the_table_for_programs_has_every_digit() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([*TRIALS, trial("x", 0, 1 / 3, 0.1)]))))
    assert len(rows) == 7
    assert rows[-1]["variant"] == "x"
    assert float(rows[-1]["fd"]) == 1 / 3
    assert rows[0].keys() >= {
        "variant",
        "seed",
        "kimg",
        "fd",
        "recall",
        "parameters",
        "sec_per_kimg",
        "cpu_sec_per_kimg",
    }


def test_the_plot_has_a_dot_for_each_experiment_and_number() -> None:
    root = ElementTree.fromstring(to_svg("A < B", TRIALS, SHOW))
    for key in SHOW:
        assert len(root.findall(f".//{{*}}g[@id='seeds-{key}']//{{*}}use")) == len(TRIALS)
    texts = [element.text for element in root.findall(".//{*}text")]
    assert {"A < B", "plain", "fancy", "fd", "recall", "real"} <= set(texts)
    to_svg("one point", TRIALS[:1], ["fd"])


def test_a_number_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UserError, match="fd, fd_std, recall"):
        to_svg("Title", TRIALS, ["fud"])


def test_speeds_are_read_from_the_record(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert recorded(path, "time/sec_per_kimg") == []
    assert median([]) is None
    path.write_text('{"kimg": 1, "time/sec_per_kimg": 3.0}\n{"kimg": 1, "metric/fd": 2}\n{"time/sec_per_kimg": null}\n')
    assert recorded(path, "time/sec_per_kimg") == [3.0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "name is missing"),
        (["name=conditionin"], "Did you mean conditioning"),
        (["name=nowhere.yaml"], "name=nowhere.yaml"),
        (["name={bad}"], "not a study .*unexpected"),
        (["name={empty}"], "not a study"),
        (["name=conditioning", "only=[adian]"], "only=adian.*Did you mean adain"),
        (["name=conditioning", "seeds=3-1"], "seeds=3-1"),
        (["name=conditioning", "total_kimg=0"], "total_kimg=0"),
        (["name=conditioning", "color=red"], "study has no setting"),
        (["name=conditioning", "set=no.such=1"], "no.such"),
        (["name=conditioning", "set=batch_size=0"], "batch_size=0"),
        (["name=conditioning", "set=init='a b"], "set=init='a b: quotes must come in pairs"),
        (["name=conditioning", "set=trainer.devices=2"], "trainer.devices=2"),
        (["name=conditioning", "set=data.use_labels=false"], "generator.conditioning=cin.*data.use_labels=true"),
        (["name=conditioning", "set=evaluation.metrics=[fud]"], "fud"),
    ],
)
def test_bad_input(overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, empty = tmp_path / "bad.yaml", tmp_path / "empty.yaml"
    bad.write_text("title: x\ncommon: []\nvariants: {a: []}\nbudget: 3\n")
    empty.write_text("title: x\ncommon: []\nvariants: {}\n")
    given = ["only=[cin]", "seeds=0", *(o.format(bad=bad, empty=empty) for o in overrides)]
    assert re.search(message, refused(["study", f"output_dir={tmp_path / 'out'}", *given], tmp_path, capsys))


def test_a_study_accepts_what_train_accepts(tmp_path: Path) -> None:
    """For the user's own images, train chooses ADA, so its settings exist."""
    data = write_folder(tmp_path / "mine", {f"{i}.png": encode(i, (16, 16)) for i in range(8)})
    study = Study("ADA", [*TINY_RUN[1:], f"data.path={data}", "total_kimg=10"], {"ada": ["augment.target=0.5"]})
    (experiment,) = plan_experiments(StudySettings(seeds="0"), study, tmp_path / "out")
    assert experiment.settings.augment is not None
    assert experiment.settings.augment.arguments["target"] == 0.5


@pytest.mark.usefixtures("thumbnail")
def test_a_study_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One YAML file; evaluations with other choices are repeated, shorter runs refused."""
    file = tmp_path / "rates.yaml"
    data = tmp_path / "data"
    for i, image in enumerate(randomness.integers(256, 0, "pictures", torch.arange(12), (3, 16, 16))):
        write_png(data / f"{i}.png", image.to(torch.uint8))
    lines = [
        f"  - {override}" for override in [*TINY_RUN[1:-1], "evaluation.metrics=[fd_random_vgg16]", "total_kimg=1"]
    ]
    lines += ["  - logger.mode=disabled", "  - evaluation.calibrate=false", f"  - data.path={data}"]
    variants = ["  slow: [optimizer.g_lr=0.001]", "  fast: [optimizer.g_lr=0.004]"]
    file.write_text("\n".join(["title: Rates", "common:", *lines, "variants:", *variants]))
    command = ["study", f"name={file}", "seeds=5", f"output_dir={tmp_path / 'out'}", "set=evaluation.num_samples=20"]
    assert main([*command, "total_kimg=0.016"]) == 0
    out = tmp_path / "out"
    assert str(out / "report.md") in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {
        *("report.md", "report.csv", "report.svg", "grids"),
        "slow-seed5",
        "fast-seed5",
    }
    before = (out / "report.csv").read_text()
    for card in out.glob("*/snapshots/*.metrics.json"):
        card.unlink()
    assert main([*command, "total_kimg=0.016"]) == 0
    assert (out / "report.csv").read_text() == before  # evaluated again, with the same digits
    assert main([*command[:-1], "set=evaluation.num_samples=30", "total_kimg=0.016"]) == 0
    assert (out / "report.csv").read_text() != before
    capsys.readouterr()
    assert main([*command, "total_kimg=0.004"]) == 2
    assert "has already been trained for 0.016 kimg" in capsys.readouterr().err
