"""When observers run, and in which order."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from stylegen.training.observers import schedule
from stylegen.training.observers.schedule import Intervals, Observers, Outputs, is_due


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_every_multiple_is_met_once_at_any_batch_size(batch: int) -> None:
    total, every = 10_000, 2_500
    edges = [*range(0, total, batch), total]
    times = [b for a, b in itertools.pairwise(edges) if is_due(a, b, every, total)]
    assert [t // every for t in times] == [1, 2, 3, 4]
    assert times[-1] == total


def test_zero_means_the_end_only() -> None:
    assert not is_due(0, 99, 0, 100)
    assert is_due(99, 100, 0, 100)


class Recorder:
    """An output that records the calls of its methods."""

    is_configured, is_pending, best = True, False, None

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def __getattr__(self, method: str) -> Any:
        def note(*arguments: Any, **options: Any) -> dict[str, Any]:
            if method not in ("update", "show", "state_dict", "is_affordable", "is_best_at", "means", "log_grid"):
                self.calls.append(f"{self.name}.{method}")
            return {"called": True}

        return note


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def observers(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> Observers:
    monkeypatch.setattr(schedule, "update_standing_statistics", lambda *_: calls.append("standing statistics"))
    outputs: Any = {name: Recorder(name, calls) for name in Outputs.__dataclass_fields__}
    intervals = Intervals(total=0.1, log=0.02, sample=0.04, snapshot=0.04, checkpoint=0.08, evaluation=0.06)
    stop: Any = SimpleNamespace(agreed=lambda step: step.stops, signals=Recorder("signals", calls))
    return Observers(intervals, Outputs(**outputs), stop, "00")


def training(images_seen: int, stops: bool = False) -> Any:
    return SimpleNamespace(images_seen=images_seen, stops=stops, state_dict=dict, G_ema=None, random_inputs=None)


def test_everything_that_is_due_runs_in_the_written_order(observers: Observers, calls: list[str]) -> None:
    assert not observers.after_step(training(100, stops=True), 90)  # the end needs no stop
    assert calls == [
        "standing statistics",
        *("log.write", "wandb.log"),
        "grids.write",
        "snapshots.write",
        *("evaluation.mark_pending", "checkpoints.save", "evaluation.evaluate", "log.write", "wandb.log"),
        *("figures.plot", "figures.animate"),
        "checkpoints.save",
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (10, []),
        (20, ["log.write", "wandb.log"]),
        (40, ["standing statistics", "log.write", "wandb.log", "grids.write", "snapshots.write"]),
        (80, ["standing statistics", "log.write", "wandb.log", "grids.write", "snapshots.write", "checkpoints.save"]),
    ],
)
def test_only_what_is_due_runs(after: int, expected: list[str], observers: Observers, calls: list[str]) -> None:
    assert not observers.after_step(training(after), after - 10)
    assert calls == expected


def test_a_stop_saves_once(observers: Observers, calls: list[str]) -> None:
    assert observers.after_step(training(10, stops=True), 0)
    assert observers.after_step(training(80, stops=True), 70)
    assert calls.count("checkpoints.save") == 2


def test_a_new_run_begins_with_a_grid_and_a_continued_one_does_not(observers: Observers, calls: list[str]) -> None:
    observers.before_training(training(0))
    assert calls.index("standing statistics") < calls.index("grids.write")
    calls.clear()
    observers.before_training(training(40))
    parts = ("opening.announce", "log.begin", "checkpoints.begin", "evaluation.begin", "progress.begin")
    assert calls == ["wandb.start", *parts]
