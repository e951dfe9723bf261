"""Evaluation during training: when it runs, what it writes, and that a killed run repeats it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stylegen.__main__ import main
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.training.observers.periodic_evaluation import PeriodicEvaluation, read_card
from stylegen.training.step import TrainingStep
from tests.support.tiny import TINY_RUN

FD = "fd_random_vgg16"


pytestmark = pytest.mark.usefixtures("thumbnail")


@pytest.mark.parametrize(
    "setting",
    [
        *("evaluation.noise=loud", "evaluation.max_share=1.5", "evaluation.prdc_neighborhood=0"),
        *(
            "evaluation.weights=nowhere evaluation.metrics=[fid]",
            "evaluation.num_samples=1",
            "evaluation.metrics=[beauty]",
        ),
    ],
)
def test_a_training_refuses_impossible_settings_before_it_writes(
    setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [*(a for a in TINY_RUN if a != "evaluation=none"), f"evaluation.metrics=[{FD}]"]
    assert main(["train", *settings, *setting.split(), f"output_dir={tmp_path / 'run'}"]) == 2
    assert setting.split()[0].replace("[", "").replace("]", "") in capsys.readouterr().err  # the key as it is typed
    assert not list(tmp_path.iterdir())


EVALUATED_RUN = [
    *(a for a in TINY_RUN if a != "evaluation=none"),
    f"evaluation.metrics=[{FD}]",
    *("evaluation.num_samples=8", "evaluation.every_kimg=0.016", "evaluation.max_share=1", "total_kimg=0.048"),
    *("checkpoint_every_kimg=0.016", "log_every_kimg=0.016"),
]


def records(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in lines]


def test_evaluations_during_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", *EVALUATED_RUN, f"output_dir={run}"]) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    values = {line["kimg"]: line[f"metric/{FD}"] for line in lines if f"metric/{FD}" in line}
    assert list(values) == [0.016, 0.032, 0.048]
    shares = [line["time/evaluation_share"] for line in lines if "time/evaluation_share" in line]
    assert all(0 < share < 1 for share in shares)
    best = load_snapshot(run / "best.safetensors")
    kimg = min(values, key=lambda k: values[k])
    assert best.info["images_seen"] == kimg * 1000
    assert best.info["best"] == {"metric": FD, "value": values[kimg], "kimg": kimg}
    assert json.loads((run / "best.metrics.json").read_text())["metrics"][FD] == values[kimg]
    assert load_snapshot(run).info["images_seen"] == 48  # a run folder still gives its newest snapshot
    best_card = json.loads((run / "best.metrics.json").read_text())["sampling"]
    assert (best_card["snapshot"], best_card["kimg"]) == ("best.safetensors", kimg)
    restored_after_going_back(run, round(kimg * 1000))


def restored_after_going_back(run: Path, best_at: int) -> None:
    """The best snapshot is deleted with the results of a later state, and restored from the older state's best."""
    best, card = run / "best.safetensors", run / "best.metrics.json"
    written = best.read_bytes(), json.loads(card.read_text())
    snapshot = load_snapshot(best)
    evaluation = PeriodicEvaluation(RunFolder(run), None, {k: v for k, v in snapshot.info.items() if k != "best"})
    evaluation.best = snapshot.info["best"]
    best.rename(RunFolder(run).snapshot(best_at))
    for seen in (best_at, best_at + 8):  # from G_ema; from the kept snapshot, in place of an abandoned state's
        if seen == best_at:
            card.unlink()
        else:
            best.write_bytes(b"of an abandoned state")
            card.write_text('{"sampling": {"kimg": 0.1}}')
        evaluation.begin(cast(TrainingStep, SimpleNamespace(images_seen=seen, G_ema=snapshot.generator)))
        assert (best.read_bytes(), json.loads(card.read_text())) == written
        best.unlink()


def test_evaluating_keeps_the_card_of_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    settings = [*(a for a in EVALUATED_RUN if "total_kimg" not in a), "total_kimg=0.016", f"output_dir={run}"]
    assert main(["train", *settings]) == 0
    path = run / "snapshots" / "000000.016.metrics.json"
    trained = json.loads(path.read_text())
    assert (trained["sampling"]["snapshot"], trained["sampling"]["kimg"]) == ("000000.016.safetensors", 0.016)
    capsys.readouterr()
    assert main(["evaluate", f"snapshot={run}", "num_samples=12", "metrics=[fd_random_vgg16]"]) == 0
    card = json.loads(capsys.readouterr().out.splitlines()[-1])
    both = json.loads(path.read_text())
    assert list(both.pop("earlier").values()) == [trained]
    assert both == card
    assert read_card(RunFolder(run), 16) == trained
    path.write_text(path.read_text()[:100])  # a finished run still reports that it is finished
    assert main(["train", *settings]) == 0


def test_evaluations_survive_exact_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill in the second evaluation it is repeated, and the log equals an undisturbed run's."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert main(["train", *EVALUATED_RUN, f"output_dir={undisturbed}"]) == 0
    metric, calls = Evaluation.measure_generator, []

    def fails_once(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise SystemError("killed")
        return metric(*arguments, **options)

    monkeypatch.setattr(Evaluation, "measure_generator", fails_once)
    with pytest.raises(SystemError):
        main(["train", *EVALUATED_RUN, f"output_dir={killed}"])
    assert main(["train", *EVALUATED_RUN, f"output_dir={killed}"]) == 0
    assert records(killed) == records(undisturbed)
    assert (killed / "best.safetensors").read_bytes() == (undisturbed / "best.safetensors").read_bytes()


def test_evaluations_are_skipped_while_they_take_most_of_the_time(tmp_path: Path) -> None:
    settings = [a for a in EVALUATED_RUN if "max_share" not in a]
    assert main(["train", *settings, f"output_dir={tmp_path / 'run'}", "evaluation.max_share=1e-9"]) == 0
    kimg = [r["kimg"] for r in records(tmp_path / "run") if f"metric/{FD}" in r]
    assert kimg == [0.016, 0.048]  # the first and the last are never skipped


def test_a_training_on_a_part_is_measured_against_the_whole(tmp_path: Path) -> None:
    settings = [a for a in EVALUATED_RUN if "every_kimg" not in a and "total_kimg" not in a]
    run = tmp_path / "run"
    assert main(["train", *settings, "total_kimg=0.008", "data.max_images=20", f"output_dir={run}"]) == 0
    card = json.loads((run / "snapshots" / "000000.008.metrics.json").read_text())
    assert card["num_reals"] > 800


def test_what_a_metric_needs_is_looked_for_in_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The number of reals is checked in the whole dataset, not in the part used for training."""
    settings = [a for a in EVALUATED_RUN if "every_kimg" not in a and "total_kimg" not in a and "num_samples" not in a]
    settings += [
        "total_kimg=0.008",
        "data.max_images=20",
        f"output_dir={tmp_path / 'run'}",
        "evaluation.num_samples=32",
    ]
    settings += ["evaluation.metrics=[prdc_random_vgg16]", "evaluation.calibrate=false"]
    assert main(["train", *settings, "evaluation.prdc_neighborhood=25"]) == 0


def test_evaluations_of_a_growing_network_name_their_resolution(tmp_path: Path) -> None:
    settings = ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1", *EVALUATED_RUN]
    settings += ["growth.stable_kimg=0.024", "growth.fade_kimg=0.008", "growth.batch_sizes=[8]"]
    run = tmp_path / "run"
    assert main(["train", *settings, f"output_dir={run}"]) == 0
    names = {r["kimg"]: k for r in records(run) for k in r if k.startswith("metric/")}
    assert names == {0.016: f"metric/{FD}_8px", 0.032: f"metric/{FD}", 0.048: f"metric/{FD}"}
    best = load_snapshot(run / "best.safetensors")
    assert best.info["best"]["metric"] == FD  # not compared with values at another resolution
