"""The checkpoint to continue from: written whole or not at all, a few kept, saved at once when the run must stop."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L

from stylegen.checkpoints.snapshot import kimg_name
from stylegen.errors import RunError
from stylegen.training.callbacks.base import EveryKimg
from stylegen.training.module import StyleGANModule
from stylegen.training.run_folder import RunFolder
from stylegen.training.strategy import largest_over_ranks

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_AGREE_EVERY = 16  # steps between two questions to the other ranks, each of which waits for the device


class Checkpoints(EveryKimg):
    """Saves every so many images, and at the end of the step in which SIGTERM, SIGINT or the time limit came.

    Each is written beside its place, synced and renamed: checkpoints/<kimg>.ckpt, with last.ckpt another name of the
    newest. The older ones stand in when the newest is damaged.

    Args:
        folder: the run's.
        keep: newest checkpoints that stay.
        max_hours: the run saves and stops after so long; None for no limit.
        every_kimg, total_kimg: see `EveryKimg`.

    Attributes:
        stopped_by: the signal that ended the run, or None.
    """

    def __init__(
        self, folder: RunFolder, every_kimg: float, total_kimg: float, keep: int = 2, max_hours: float | None = None
    ) -> None:
        super().__init__(every_kimg, total_kimg)
        self.folder, self.keep = folder, keep
        self.deadline = None if max_hours is None else time.monotonic() + max_hours * 3600
        self.stopped_by: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, StyleGANModule)
        if trainer.is_global_zero:
            for path in self.folder.numbered_checkpoints():
                if path.stem > kimg_name(pl_module.images_seen):  # of a future that this run has left
                    path.unlink()
        if threading.current_thread() is threading.main_thread():  # handlers can be set nowhere else
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        assert isinstance(pl_module, StyleGANModule)
        if self._must_stop(trainer, pl_module) and pl_module.images_seen < self.total:
            self.act(trainer, pl_module)
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._restore_handlers()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._restore_handlers()

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        if not all(p.isfinite().all() for p in module.parameters()):
            raise RunError(f"the weights are not finite; {self.folder.checkpoint.parent} keeps the last good ones")
        path = self.folder.checkpoint.with_name(f"{kimg_name(module.images_seen)}.ckpt")
        partial = path.with_name(f".{path.name}.partial")
        try:
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                _publish(partial, path)
                _publish(_second_name(path), self.folder.checkpoint)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RunError(
                f"checkpoint {path} cannot be written ({error.strerror or error}); the one before it is whole. "
                f"Make room, then give the same command with output_dir={self.folder.root}"
            ) from error
        if trainer.is_global_zero:
            for old in self.folder.numbered_checkpoints()[self.keep :]:
                old.unlink()

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
        print(f"{signal.Signals(number).name}: saving a checkpoint after this step", file=sys.stderr)

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def _publish(source: Path, path: Path) -> None:
    """Sync and rename, so that after a power failure the name holds the old file or the whole new one."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(path)


def _second_name(path: Path) -> Path:
    """A hard link beside `path`, or a copy where the file system has no links."""
    link = path.with_name(".last.partial")
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(path)
    except OSError:
        link.write_bytes(path.read_bytes())
    return link
