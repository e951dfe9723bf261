"""Which checkpoints stay, and which is the best."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.training.lightning.callbacks.checkpoints import Checkpoints
from stylegen.training.lightning.module import StyleGANModule


class Trainer:
    """Saves the callback's state and the clock, as Lightning would."""

    is_global_zero, world_size = True, 1
    should_stop = False

    def __init__(self, callback: Checkpoints, module: Any) -> None:
        self.callback, self.module = callback, module

    def save_checkpoint(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"images_seen": self.module.images_seen, "own": self.callback.state_dict()}, path)


def make_module() -> Any:
    module: Any = object.__new__(StyleGANModule)
    torch.nn.Module.__init__(module)
    module.images_seen, module.steps, module.bad = 0, 0, False
    module.in_bad_streak = lambda: module.bad
    return module


def make(folder: Path, **options: Any) -> tuple[Checkpoints, Trainer, Any]:
    callback, module = Checkpoints(RunFolder(folder), 0.01, 1.0, **options), make_module()
    return callback, Trainer(callback, module), module


def step(callback: Checkpoints, trainer: Any, module: Any, score: dict[str, float] | None = None) -> None:
    """Ten images, with a score where one is given."""
    module.images_seen += 10
    module.steps += 1
    if score is not None:
        callback.before_score(trainer, module)
        callback.after_score(score)
    callback.on_train_batch_end(trainer, module, None, None, 0)


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(("key", "sign"), [("fid", 1), ("isc", -1), ("precision", -1)])
def test_the_best_is_kept_and_known(key: str, sign: int, tmp_path: Path) -> None:
    callback, trainer, module = make(tmp_path)
    for value in (5.0, 3.0, float("nan"), 4.0, 3.0):
        step(callback, trainer, module, {"kid_std": -100.0, key: sign * value, "kid": -100.0})
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["000000.040.ckpt", "000000.050.ckpt", "best.ckpt", "last.ckpt"]
    best = read(folder / "best.ckpt")
    assert best["images_seen"] == 20
    assert best["own"]["best"] == {"metric": key, "value": sign * 3.0, "kimg": 0.02}
    assert (folder / "last.ckpt").samefile(folder / "000000.050.ckpt")

    continued, trainer, _ = make(tmp_path)
    continued.load_state_dict(read(folder / "last.ckpt")["own"])
    continued.on_train_start(trainer, module)
    assert continued.best == best["own"]["best"]
    assert (folder / "best.ckpt").exists()


def test_another_metric_has_no_best_yet(tmp_path: Path) -> None:
    callback, trainer, module = make(tmp_path)
    callback.load_state_dict({"best": {"metric": "fid", "value": 3.0, "kimg": 1.0}})
    step(callback, trainer, module, {"kid": 5.0})
    assert callback.best == {"metric": "kid", "value": 5.0, "kimg": 0.01}


def test_a_score_at_the_beginning_of_a_step_is_that_of_the_step_before(tmp_path: Path) -> None:
    """As where a killed process owed it."""
    callback, trainer, module = make(tmp_path, keep=1)
    module.images_seen = 10
    callback.before_score(trainer, module)
    callback.after_score({"fid": 2.0})
    step(callback, trainer, module)
    assert callback.best == {"metric": "fid", "value": 2.0, "kimg": 0.01}
    assert read(tmp_path / "checkpoints" / "best.ckpt")["images_seen"] == 10


def test_a_score_is_saved_with_its_step_even_where_no_checkpoint_is_due(tmp_path: Path) -> None:
    callback, trainer, module = make(tmp_path)
    callback.every = 0
    step(callback, trainer, module, {"fid": 2.0})
    assert read(tmp_path / "checkpoints" / "last.ckpt")["own"]["best"]["value"] == 2.0
    step(callback, trainer, module)
    assert read(tmp_path / "checkpoints" / "last.ckpt")["images_seen"] == 10


def test_the_last_good_one_outlives_a_streak_of_bad_steps(tmp_path: Path) -> None:
    callback, trainer, module = make(tmp_path)
    for bad in (False, False, True, True, True):
        module.bad = bad
        step(callback, trainer, module)
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["000000.020.ckpt", "000000.040.ckpt", "000000.050.ckpt", "last.ckpt"]


def test_a_name_that_was_not_given_any_more_is_given(tmp_path: Path) -> None:
    """A process that is killed after the checkpoint knows the best score and before best.ckpt is another name of it."""
    callback, trainer, module = make(tmp_path)
    step(callback, trainer, module, {"fid": 5.0})
    step(callback, trainer, module, {"fid": 3.0})
    best = tmp_path / "checkpoints" / "best.ckpt"
    best.unlink()
    best.hardlink_to(best.with_name("000000.010.ckpt"))
    callback.on_train_start(trainer, module)
    assert read(best)["images_seen"] == 20


def test_the_names_follow_a_run_that_goes_back(tmp_path: Path) -> None:
    callback, trainer, module = make(tmp_path, keep=3)
    for value in (5.0, 3.0, 4.0):
        step(callback, trainer, module, {"fid": value})
    folder = tmp_path / "checkpoints"
    (folder / ".000000.040.ckpt.partial").touch()
    module.images_seen = 20
    callback.on_train_start(trainer, module)
    assert sorted(p.name for p in folder.iterdir()) == ["000000.010.ckpt", "000000.020.ckpt", "best.ckpt", "last.ckpt"]
    assert read(folder / "last.ckpt")["images_seen"] == 20
    module.images_seen, callback.best = 0, None
    callback.on_train_start(trainer, module)
    assert list(folder.iterdir()) == []
