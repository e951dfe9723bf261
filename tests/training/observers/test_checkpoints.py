"""Which checkpoints are kept, and which is the best."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.launching import StopSignals
from stylegen.training.observers.checkpoints import Checkpoints
from stylegen.training.observers.metrics_log import MetricsLog
from stylegen.training.observers.periodic_evaluation import PeriodicEvaluation
from stylegen.training.observers.schedule import Intervals, Observers, Outputs
from stylegen.training.observers.stop import StopRequest


class Step:
    """Stand-in for a training step: its clock, and whether the last steps were bad."""

    def __init__(self) -> None:
        self.images_seen, self.steps, self.bad, self.growth = 0, 0, False, None
        self.modules, self.device = torch.nn.Linear(1, 1), torch.device("cpu")
        self.G_ema: Any = torch.nn.Linear(1, 1)
        self.random_inputs: Any = None

    def in_bad_streak(self) -> bool:
        return self.bad

    def state_dict(self) -> dict[str, Any]:
        return {"images_seen": self.images_seen, "clock": {"images_seen": self.images_seen}}


class Silent:
    """An observer that writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: {}


class Evaluation(PeriodicEvaluation):
    """Evaluates to `values`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(RunFolder(folder), lambda *_, **__: None, {})
        self.values: dict[str, float] = {}

    def evaluate(self, step: Any) -> dict[str, float]:
        self._pending = False
        self._is_better(SimpleNamespace(metrics=self.values), step.images_seen)
        return self.values


def make(folder: Path, keep: int = 2, every: float = 0.01, start: Path | None = None) -> tuple[Observers, Any]:
    """Observers that save every 10 images."""
    silent: Any = Silent()
    outputs = Outputs(
        opening=silent,
        progress=silent,
        wandb=silent,
        log=MetricsLog(folder / "metrics.jsonl"),
        grids=silent,
        snapshots=silent,
        checkpoints=Checkpoints(RunFolder(folder), keep, start),
        evaluation=Evaluation(folder),
        figures=silent,
    )
    intervals = Intervals(total=1.0, log=0, sample=0, snapshot=0, checkpoint=every, evaluation=0)
    return Observers(intervals, outputs, StopRequest(StopSignals()), "00"), Step()


def step(observers: Observers, training: Any, values: dict[str, float] | None = None) -> None:
    """Ten images, followed by an evaluation if its values are given."""
    before = training.images_seen
    training.images_seen += 10
    training.steps += 1
    observers.intervals = replace(observers.intervals, evaluation=0.0 if values is None else 0.01)
    observers.outputs.evaluation.values = values or {}
    observers.after_step(training, before)


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def best_of(path: Path) -> Any:
    return read(path)["observers"]["evaluation"]["best"]


@pytest.mark.parametrize(("key", "sign"), [("fid", 1), ("isc", -1), ("precision", -1)])
def test_the_best_is_kept_and_known(key: str, sign: int, tmp_path: Path) -> None:
    observers, training = make(tmp_path)
    for value in (5.0, 3.0, float("nan"), 4.0, 3.0):
        step(observers, training, {"kid_std": -100.0, key: sign * value, "kid": -100.0})
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["000000.040.ckpt", "000000.050.ckpt", "best.ckpt", "last.ckpt"]
    assert read(folder / "best.ckpt")["images_seen"] == 20
    best = best_of(folder / "best.ckpt")
    assert best == {"metric": key, "value": sign * 3.0, "kimg": 0.02}
    assert (folder / "last.ckpt").samefile(folder / "000000.050.ckpt")

    continued, _ = make(tmp_path)
    continued.load_state_dict(read(folder / "last.ckpt")["observers"])
    continued.before_training(training)
    assert continued.outputs.evaluation.best == best
    assert (folder / "best.ckpt").exists()


def test_another_metric_has_no_best_yet(tmp_path: Path) -> None:
    observers, training = make(tmp_path)
    observers.outputs.evaluation.best = {"metric": "fid", "value": 3.0, "kimg": 1.0}
    step(observers, training, {"kid": 5.0})
    assert observers.outputs.evaluation.best == {"metric": "kid", "value": 5.0, "kimg": 0.01}


def test_a_pending_evaluation_of_a_killed_process_belongs_to_the_step_before(tmp_path: Path) -> None:
    observers, training = make(tmp_path, keep=1)
    evaluation = observers.outputs.evaluation
    training.images_seen = 10
    evaluation.mark_pending()
    evaluation.values = {"fid": 2.0}
    observers.before_training(training)
    assert not evaluation.is_pending
    step(observers, training)
    assert evaluation.best == {"metric": "fid", "value": 2.0, "kimg": 0.01}
    assert read(tmp_path / "checkpoints" / "best.ckpt")["images_seen"] == 10


def test_an_evaluation_is_saved_with_its_step_even_where_no_checkpoint_is_due(tmp_path: Path) -> None:
    observers, training = make(tmp_path, every=0)
    step(observers, training, {"fid": 2.0})
    assert best_of(tmp_path / "checkpoints" / "last.ckpt")["value"] == 2.0
    step(observers, training)
    assert read(tmp_path / "checkpoints" / "last.ckpt")["images_seen"] == 10


def test_the_last_good_one_outlives_a_streak_of_bad_steps(tmp_path: Path) -> None:
    observers, training = make(tmp_path)
    for bad in (False, False, True, True, True):
        training.bad = bad
        step(observers, training)
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["000000.020.ckpt", "000000.040.ckpt", "000000.050.ckpt", "last.ckpt"]


def test_a_missing_second_name_is_restored(tmp_path: Path) -> None:
    """The process was killed between writing the best checkpoint and linking best.ckpt to it."""
    observers, training = make(tmp_path)
    step(observers, training, {"fid": 5.0})
    step(observers, training, {"fid": 3.0})
    best = tmp_path / "checkpoints" / "best.ckpt"
    best.unlink()
    best.hardlink_to(best.with_name("000000.010.ckpt"))
    observers.before_training(training)
    assert read(best)["images_seen"] == 20


def test_the_names_follow_a_run_that_goes_back(tmp_path: Path) -> None:
    observers, training = make(tmp_path, keep=3)
    for value in (5.0, 3.0, 4.0):
        step(observers, training, {"fid": value})
    folder = tmp_path / "checkpoints"
    (folder / ".000000.040.ckpt.partial").touch()
    training.images_seen = 20
    observers.before_training(training)
    assert sorted(p.name for p in folder.iterdir()) == ["000000.010.ckpt", "000000.020.ckpt", "best.ckpt", "last.ckpt"]
    assert read(folder / "last.ckpt")["images_seen"] == 20
    training.images_seen, observers.outputs.evaluation.best = 0, None
    observers.outputs.checkpoints.begin(0, None)
    assert list(folder.iterdir()) == []


def go_back(folder: Path, name: str) -> None:
    """Continue from a checkpoint of the same run, in a new process."""
    start = folder / "checkpoints" / name
    observers, training = make(folder, start=start)
    training.images_seen = read(start)["images_seen"]
    observers.load_state_dict(read(start)["observers"])
    observers.before_training(training)


def test_a_run_continues_from_its_best_checkpoint(tmp_path: Path) -> None:
    """best.ckpt is the only name of that state; results of the later states are deleted."""
    observers, training = make(tmp_path)
    run = RunFolder(tmp_path)
    for value in (3.0, 5.0, 4.0, 6.0):
        step(observers, training, {"fid": value})
        for path in (run.sample, run.snapshot, run.metric_card):
            path(training.images_seen).parent.mkdir(exist_ok=True)
            path(training.images_seen).touch()
    for name in ("best.safetensors", "best.metrics.json"):
        (tmp_path / name).write_text('{"sampling": {"kimg": 0.04}}')
    go_back(tmp_path, "best.ckpt")
    assert [path.name for path in run.checkpoints()] == ["last.ckpt", "000000.010.ckpt", "best.ckpt"]
    assert [read(path)["images_seen"] for path in run.checkpoints()] == [10, 10, 10]
    kept = {path.name for path in tmp_path.glob("s*/*")} | {path.name for path in tmp_path.glob("best.*")}
    assert kept == {"000000.010.png", "000000.010.safetensors", "000000.010.metrics.json"}


def test_the_best_checkpoint_of_a_later_state_is_deleted(tmp_path: Path) -> None:
    observers, training = make(tmp_path)
    for value in (5.0, 6.0, 6.0, 4.0):
        step(observers, training, {"fid": value})
    go_back(tmp_path, "000000.030.ckpt")
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["000000.030.ckpt", "last.ckpt"]
