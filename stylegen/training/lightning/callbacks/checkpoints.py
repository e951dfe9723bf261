"""The checkpoints to continue from: the newest few and the best, and one more at once when the run must stop."""

import contextlib
import math
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import kimg_name
from stylegen.distributed import largest_over_ranks
from stylegen.errors import RunError
from stylegen.metrics.protocol.registry import sense_of
from stylegen.training.lightning.callbacks.every_kimg import EveryKimg
from stylegen.training.lightning.checkpoint_io import give_second_name
from stylegen.training.lightning.module import StyleGANModule

REQUEUE = getattr(signal, "SIGUSR1", None)  # None on Windows
_AGREE_EVERY = 16  # steps between two questions to the other ranks, each of which waits for the device


class Checkpoints(EveryKimg):
    """Saves every so many images, after every score, and after the step in which a signal or the time limit came.

    checkpoints/<kimg>.ckpt are the newest; the older ones stand in when the newest is damaged. last.ckpt is another
    name of the newest, best.ckpt of the one with the best score.

    Args:
        folder: the run's.
        keep: newest checkpoints that stay.
        max_hours: the run saves and stops after so long; None for no limit.
        every_kimg, total_kimg: see `EveryKimg`.
        requeue: SIGUSR1 stops the run too.

    Attributes:
        stopped_by: the signal that ended the run, or None.
        best: None, or metric, value and kimg of the best score so far, by the first number that has a better side.
    """

    def __init__(
        self,
        folder: RunFolder,
        every_kimg: float,
        total_kimg: float,
        keep: int = 2,
        max_hours: float | None = None,
        requeue: bool = False,
    ) -> None:
        super().__init__(every_kimg, total_kimg)
        self.folder, self.keep = folder, keep
        self.deadline = None if max_hours is None else time.monotonic() + max_hours * 3600
        self.stopped_by: int | None = None
        self.best: dict[str, Any] | None = None
        self._signals = [signal.SIGTERM, signal.SIGINT] + ([REQUEUE] if requeue and REQUEUE else [])
        self._previous: dict[int, Any] = {}
        self._score_since_save = self._best_since_save = False
        self._saved_at = 0  # images
        self._good: Path | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        # Lightning's handler broadcasts from inside the signal, and its loop asks all ranks at every batch, waiting for
        # the device each time. What is agreed here, every few steps, replaces both.
        trainer._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():  # handlers can be set nowhere else
            self._previous = {number: signal.signal(number, self._note) for number in self._signals}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._restore_handlers()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._restore_handlers()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, StyleGANModule)
        if trainer.is_global_zero:
            self._leave_other_futures(pl_module.images_seen)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        assert isinstance(pl_module, StyleGANModule)
        stop = self._must_stop(trainer, pl_module) and pl_module.images_seen < self.total
        if self._score_since_save or (stop and self._saved_at != pl_module.images_seen):
            self.act(trainer, pl_module)
        if stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A run that had nothing left but a score that it owed takes no step that would save it."""
        assert isinstance(pl_module, StyleGANModule)
        if self._score_since_save:
            self.act(trainer, pl_module)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        # They count this process's steps, so they would tell a continued run from one that never stopped.
        checkpoint["epoch"] = checkpoint["global_step"] = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        if not all(p.isfinite().all() for p in module.parameters()):
            raise RunError(f"the weights are not finite; {self.folder.checkpoint.parent} keeps the last good ones")
        path, best = self._path(module.images_seen), self._path(self._saved_at)
        self.folder.check_there()
        trainer.save_checkpoint(path)
        if not module.in_bad_streak():
            self._good = path
        if trainer.is_global_zero:
            give_second_name(path, "last.ckpt")
            self.folder.saved.touch()
            if self._best_since_save and best.exists():
                give_second_name(best, "best.ckpt")
            for old in self.folder.numbered_checkpoints()[self.keep :]:
                if old != self._good:  # where a training that diverges goes back to
                    old.unlink()
        self._score_since_save, self._best_since_save, self._saved_at = False, False, module.images_seen

    def before_score(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        """Save, because a score takes long and may fail; and once more at the end of the step, with the score."""
        self.act(trainer, module)
        self._score_since_save = True

    def after_score(self, values: dict[str, float]) -> None:
        """Remember the score of the checkpoint just saved, numbers by name, if it is the best so far.

        The earlier of two equals stays; scores by another metric, or that are not finite, are not compared.
        """
        name = next((n for n in values if sense_of(n) is not None), None)
        if name is None or not math.isfinite(values[name]):
            return
        sign = 1 if sense_of(name) == "lower" else -1
        known = self.best is not None and self.best["metric"] == name
        if self.best is None or not known or sign * values[name] < sign * self.best["value"]:
            self.best = {"metric": name, "value": values[name], "kimg": self._saved_at / 1000}
            self._best_since_save = True

    def _path(self, images_seen: int) -> Path:
        return self.folder.checkpoint.with_name(f"{kimg_name(images_seen)}.ckpt")

    def _leave_other_futures(self, images_seen: int) -> None:
        """Remove what lies after the point where this run continues, and what a killed process left unfinished."""
        for path in self.folder.checkpoint.parent.glob(".*.partial"):
            path.unlink()
        for path in self.folder.numbered_checkpoints():
            if path.stem > kimg_name(images_seen):
                path.unlink()
        kept = self.folder.numbered_checkpoints()
        if kept:
            self._good = kept[0]
            if not (self.folder.checkpoint.exists() and kept[0].samefile(self.folder.checkpoint)):
                give_second_name(kept[0], "last.ckpt")
        elif images_seen == 0:
            self.folder.checkpoint.unlink(missing_ok=True)
        best = self.folder.checkpoint.with_name("best.ckpt")
        if self.best is None:
            best.unlink(missing_ok=True)
        else:  # a process that was killed between the two names may not have given the second one
            known = self._path(round(self.best["kimg"] * 1000))
            if known.exists() and not (best.exists() and known.samefile(best)):
                give_second_name(known, "best.ckpt")

    def _must_stop(self, trainer: L.Trainer, module: StyleGANModule) -> bool:
        late = self.deadline is not None and time.monotonic() > self.deadline
        wish = float(self.stopped_by or 0) or float(late)
        if trainer.world_size == 1:
            return wish > 0
        if module.steps % _AGREE_EVERY:
            return False
        agreed = largest_over_ranks(wish, module.device)
        if agreed > 1:
            self.stopped_by = int(agreed)
        return agreed > 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Remember; a second SIGINT ends at once."""
        if self.stopped_by == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stopped_by = number
        # Not print: the signal may have come in the middle of one.
        with contextlib.suppress(OSError):  # nobody reads it
            os.write(2, f"{signal.Signals(number).name}: saving a checkpoint after this step\n".encode())

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def _nothing(*arguments: Any) -> None:
    """In place of Lightning's own handling of signals."""
