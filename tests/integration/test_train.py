"""`train` from the command line: files in the run folder, and continuing without loss."""

from pathlib import Path

import pytest
import torch
import yaml

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.images import write_png
from stylegen.metrics.engine.evaluation import Evaluation
from tests.support.runs import assert_equal, lines, train
from tests.support.tiny import TINY_RUN


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert train(folder, "total_kimg=0.144", "regularizers=r1_path_length") == 0
    return folder


def test_the_folder_holds_what_the_table_promises(undisturbed: Path) -> None:
    config = yaml.safe_load((undisturbed / "config.yaml").read_text())
    assert config["generator"]["mapping_lr_multiplier"] == 0.01  # constructor defaults are included
    names = ["000000.048", "000000.096", "000000.144"]
    assert sorted(p.stem for p in (undisturbed / "samples").glob("*.png")) == ["000000.000", *names, "reals"]
    assert sorted(p.stem for p in (undisturbed / "snapshots").glob("*.safetensors")) == names
    records = lines(undisturbed)
    assert [r["kimg"] for r in records] == [0.048, 0.096, 0.144]
    expected = {"loss/G", "loss/D", "reg/r1", "reg/path_length", "score/real", "score/fake"}
    assert expected <= records[0].keys()
    snapshot = load_snapshot(undisturbed)
    assert snapshot.info["images_seen"] == 144
    assert snapshot.info["data"]["path"] == "openmoji"
    assert snapshot.info["data"]["mirror"] is True


def test_the_checkpoint_holds_plain_values(undisturbed: Path) -> None:
    checkpoint = torch.load(undisturbed / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["clock"] == {"images_seen": 144, "steps": 18, "attempt": 0, "streaks": [0.0] * 4}


@pytest.mark.parametrize("stop", ["0.048", "0.096"])
def test_a_continued_run_ends_bit_for_bit_where_an_undisturbed_one_ends(
    undisturbed: Path, tmp_path: Path, stop: str
) -> None:
    folder = tmp_path / "continued"
    assert train(folder, f"total_kimg={stop}", "regularizers=r1_path_length") == 0
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kimg": 99, "after": "the checkpoint"}\n')  # a killed run may have written this since
    assert train(folder, "total_kimg=0.144", "regularizers=r1_path_length") == 0
    assert lines(folder) == lines(undisturbed)
    for name in ("samples/000000.144.png", "snapshots/000000.144.safetensors"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    ours, theirs = (torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (folder, undisturbed))
    for part in ("weights", "optimizers", "clock", "statistics"):
        assert_equal(ours[part], theirs[part], part)


def test_a_finished_run_reports_it(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")}
    assert train(undisturbed, "total_kimg=0.144", "regularizers=r1_path_length") == 0
    assert "already finished" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")} == before


def test_changed_settings_are_listed_and_refused(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(undisturbed, "total_kimg=1", "regularizers=r1_path_length", "optimizer.g_lr=0.1") == 2
    assert "optimizer.g_lr: 0.0025 -> 0.1" in capsys.readouterr().err
    assert train(undisturbed, "total_kimg=1", "regularizers=r1_path_length", "resume=never") == 2


def test_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", *TINY_RUN, "total_kimg=0.008"]) == 0
    names = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert [n[:6] for n in names] == ["00000-", "00001-"]
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


def test_resume_by_path_into_another_folder(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    assert train(folder, f"resume={undisturbed}", "total_kimg=0.152", "regularizers=r1_path_length") == 0
    assert load_snapshot(folder).info["images_seen"] == 152


def test_a_score_that_fails_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Evaluation, "measure_generator", fail)
    arguments = [*(a for a in TINY_RUN if a != "evaluation=none"), "evaluation=random_vgg16"]
    with pytest.raises(MemoryError):
        main(["train", *arguments, "total_kimg=0.016", f"output_dir={tmp_path / 'run'}"])
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["clock"]["images_seen"] == 16


def test_images_with_an_alpha_channel(tmp_path: Path) -> None:
    for i in range(8):
        write_png(tmp_path / "data" / f"{i}.png", torch.full((4, 16, 16), i, dtype=torch.uint8))
    arguments = [a for a in TINY_RUN if a != "data.resolution=16"]
    arguments += [
        "experiment=openmoji",
        "data=images",
        f"data.path={tmp_path / 'data'}",
        f"output_dir={tmp_path / 'run'}",
    ]
    assert main(["train", *arguments, "total_kimg=0.008"]) == 0
    assert main(["sample", f"snapshot={tmp_path / 'run'}", f"out={tmp_path / 'out'}", "seeds=0"]) == 0
    assert load_snapshot(tmp_path / "run").generator.channels == 4


def test_a_conditional_run(tmp_path: Path) -> None:
    assert train(tmp_path / "c", "total_kimg=0.008", "data.use_labels=true") == 0
    assert load_snapshot(tmp_path / "c").generator.num_classes == 6
