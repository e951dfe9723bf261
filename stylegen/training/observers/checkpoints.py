"""Writes the checkpoints of a run, and keeps the newest, the best, and the last one outside a series of bad steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.sealed import load_sealed
from stylegen.checkpoints.snapshot import kimg_name
from stylegen.distributed import broadcast_from_rank0, is_rank0
from stylegen.errors import RunError, UserError
from stylegen.training.checkpoint_io import link_checkpoint, write_checkpoint
from stylegen.training.step import TrainingStep


class Checkpoints:
    """Writes checkpoints/<kimg>.ckpt. last.ckpt is a link to the newest, best.ckpt to the one with the best metric. The
    older ones are used if the newest is damaged.

    Args:
        folder: the run folder; checkpoints go to checkpoints/.
        keep: number of newest checkpoints to keep.
        start: an older checkpoint that the user chose to continue from; later snapshots and samples are deleted.
    """

    def __init__(self, folder: RunFolder, keep: int = 2, start: Path | None = None) -> None:
        self.folder, self.keep, self.start = folder, keep, start
        self._good: Path | None = None  # the restart point after divergence

    def begin(self, images_seen: int, best: Mapping[str, Any] | None) -> None:
        """On rank 0: remove partial files and the results of a later state, and restore the links.

        Args:
            best: None, or a record with the "kimg" of the best metric.
        """
        if not is_rank0():
            return
        last, best_name = self.folder.checkpoint, self.folder.checkpoint.with_name("best.ckpt")
        for path in last.parent.glob(".*.partial"):
            path.unlink()
        if self.start is not None and self.start.parent.resolve() == last.parent.resolve():
            _link_again(self.start, self._path(images_seen))  # best.ckpt may be the only name of an older checkpoint
            self.folder.remove_after(images_seen)
        for path in self.folder.numbered_checkpoints():
            if path.stem > kimg_name(images_seen):
                path.unlink()
        kept = self.folder.numbered_checkpoints()
        if kept:
            self._good = kept[0]
            _link_again(kept[0], last)
        elif images_seen == 0:
            last.unlink(missing_ok=True)
        if best is None:
            best_name.unlink(missing_ok=True)
        elif (known := self._path(round(best["kimg"] * 1000))).exists():  # the run was killed between the two links
            _link_again(known, best_name)
        elif self.start is not None and _images_seen(best_name) not in (None, round(best["kimg"] * 1000)):
            best_name.unlink()

    def save(self, step: TrainingStep, content: dict[str, Any], best: bool = False) -> None:
        """Write `content` on rank 0; all ranks wait for it.

        Args:
            best: this is the best checkpoint so far.

        Raises:
            RunError: weights are not finite, the folder was deleted, or the disk is full.
        """
        if not all(parameter.isfinite().all() for parameter in step.modules.parameters()):
            raise RunError(
                f"the weights are not finite; {self.folder.checkpoint.parent} keeps the last good checkpoint"
            )
        good = not step.in_bad_streak()
        broadcast_from_rank0(lambda: self._write(self._path(step.images_seen), content, good, best))

    def _write(self, path: Path, content: dict[str, Any], good: bool, best: bool) -> None:
        self.folder.check_exists()
        write_checkpoint(content, path)
        if good:
            self._good = path
        link_checkpoint(path, "last.ckpt")
        self.folder.saved.touch()
        if best:
            link_checkpoint(path, "best.ckpt")
        for old in self.folder.numbered_checkpoints()[self.keep :]:
            if old != self._good:
                old.unlink()

    def _path(self, images_seen: int) -> Path:
        return self.folder.checkpoint.with_name(f"{kimg_name(images_seen)}.ckpt")


def _images_seen(path: Path) -> int | None:
    """The clock of a checkpoint; None if it cannot be read."""
    try:
        seen: int = load_sealed(path)["clock"]["images_seen"]
    except (UserError, LookupError, TypeError):
        return None
    return seen


def _link_again(path: Path, name: Path) -> None:
    if not (name.exists() and path.samefile(name)):
        link_checkpoint(path, name.name)
