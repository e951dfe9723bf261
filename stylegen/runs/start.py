"""Which folder a run writes to, and whether it continues one that is there."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder, next_run_folder
from stylegen.config.continued import output_root, read_own
from stylegen.config.schema import fixed_on_resume
from stylegen.config.sections import as_dict, flatten
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import UserError
from stylegen.runs.places import check_new
from stylegen.runs.run_lock import check_unlocked
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.lightning.processes import is_first_process
from stylegen.training.step import TrainingStep

_START = "STYLEGEN_START"


@dataclass(frozen=True)
class Start:
    """Where to begin.

    Attributes:
        folder: of the run.
        checkpoint: to continue from, or None for a new run.
        images_seen: by that checkpoint.
        owes_score: a score was being taken at that moment, and is to be taken again.
    """

    folder: RunFolder
    checkpoint: Path | None = None
    images_seen: int = 0
    owes_score: bool = False


def find_start(
    config: TrainSettings, name: str, step: TrainingStep | None = None, fingerprint: str | None = None
) -> Start:
    """Decide by `resume` and `output_dir`; creates nothing but a numbered folder where no name was given.

    Args:
        config: of the train verb.
        name: of a new numbered folder, as in runs/00003-<name>.
        step: that will train; a checkpoint that does not fit it is damaged.
        fingerprint: of the data; those of a run that continues must be the same. None leaves that unchecked.

    Raises:
        UserError: a folder that another training uses, that holds something else, that holds a run already under
            resume=never, or that cannot be written; no checkpoint that is whole; settings or data that changed.
    """
    if (shared := _shared_start()) is not None:
        return shared
    with _readable(config):
        start, state = _find_start(config, name, step)
    trained_on = state.get("fingerprint", fingerprint)
    if fingerprint is not None and trained_on != fingerprint:
        raise UserError(
            f"data.path={config.data.path}",
            rule="its images or labels are not those that the run was trained on",
            fix="Restore them, or start a new run with another output_dir",
        )
    return start


def _find_start(config: TrainSettings, name: str, step: TrainingStep | None) -> tuple[Start, dict[str, Any]]:
    output = output_root(config)
    if config.trainer.requeue and (output is None or config.resume != "auto"):
        raise UserError(
            f"output_dir={config.output_dir} resume={config.resume} with trainer.requeue=true",
            rule="a job that comes back from the queue continues what is in its output_dir",
            fix="Add output_dir=FOLDER and leave resume=auto",
        )
    if config.resume not in ("auto", "never"):
        source = _checkpoint_of(Path(config.resume).expanduser())
        folder = RunFolder(output or source.parent.parent)
        if folder.root.resolve() != source.parent.parent.resolve():
            if folder.config.exists():
                raise _occupied(folder.root, f"resume={config.resume} would continue another run in it")
            check_new(folder)
        return _continue(config, folder, source, step)
    if output is None and int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", "1"))) > 1:
        raise UserError(
            "output_dir=null with several processes",
            rule="they cannot agree on a numbered folder before they meet",
            fix="Add output_dir=FOLDER",
        )
    if output is None:
        return Start(next_run_folder(Path("runs"), name)), {}
    folder = RunFolder(output)
    if is_first_process():
        check_unlocked(folder.root)
    if config.resume == "auto" and folder.checkpoints():
        return _continue(config, folder, folder.checkpoint, step)
    if config.resume == "never" and folder.config.exists():
        raise _occupied(output, "resume=never continues none")
    if is_first_process():  # the only one that knows what it has written itself by now
        check_new(folder)
    return Start(folder), {}


def begins_anew(config: TrainSettings) -> bool:
    """Whether `find_start` will find nothing to continue; creates nothing."""
    if (shared := _shared_start()) is not None:
        return shared.checkpoint is None
    if config.resume != "auto":
        return bool(config.resume == "never")
    output = output_root(config)
    with _readable(config):
        return output is None or not RunFolder(output).checkpoints()


def last_saved(config: TrainSettings) -> int | None:
    """When last.ckpt of `output_dir` was written, in nanoseconds; None where there is none."""
    output = output_root(config)
    with _readable(config):
        path = None if output is None else RunFolder(output).checkpoint
        return path.stat().st_mtime_ns if path is not None and path.is_file() else None


@contextmanager
def _readable(config: TrainSettings) -> Iterator[None]:
    """Raise UserError where the body may not look into a folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"output_dir={config.output_dir} resume={config.resume}",
            rule=f"{error.filename or 'the folder'} cannot be read ({error.strerror or error})",
            fix="Name a folder that you may read and write",
        ) from error


def _shared_start() -> Start | None:
    """What the first process has decided, in one that it started."""
    if _START not in os.environ or "LOCAL_RANK" not in os.environ:
        return None
    folder, checkpoint, *rest = json.loads(os.environ[_START])
    return Start(RunFolder(Path(folder)), Path(checkpoint) if checkpoint else None, *rest)


def _occupied(path: Path, why: str) -> UserError:
    return UserError(f"output_dir={path}", rule=f"it holds a run already and {why}", fix="Name another folder")


def share_start(start: Start) -> None:
    """Tell the processes that Lightning will start from this one where the run begins."""
    checkpoint = str(start.checkpoint) if start.checkpoint else None
    os.environ[_START] = json.dumps([str(start.folder.root), checkpoint, start.images_seen, start.owes_score])


def forget_start() -> None:
    """A later run of this process begins by its own settings."""
    os.environ.pop(_START, None)


def _continue(
    config: TrainSettings, folder: RunFolder, checkpoint: Path, step: TrainingStep | None
) -> tuple[Start, dict[str, Any]]:
    """From the newest checkpoint that is whole, with its content; damaged and missing ones are named.

    Args:
        checkpoint: to continue from; for a last.ckpt, older ones of the same folder take its place.
    """
    _refuse_changes(config, checkpoint.parent.parent / "config.yaml")
    candidates = [checkpoint]
    if checkpoint.name == "last.ckpt":
        candidates = RunFolder(checkpoint.parent.parent).checkpoints()
        if checkpoint not in candidates:
            _warn(f"{checkpoint} is missing; {candidates[0].name} takes its place")
    for candidate in candidates:
        try:
            state = read_checkpoint(candidate, step)
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # it may be whole, and an older one would take its place for good
                raise
            _warn(f"{error.problem}: {error.rule}")
        else:
            owed = state["observers"]["evaluation"]["owed"]
            return Start(folder, candidate, state["clock"]["images_seen"], owed), state
    raise UserError(
        f"checkpoint {checkpoint}",
        rule="neither it nor an older one beside it can be read",
        fix="Copy them again, or name another output_dir to train from the beginning",
    )


def _warn(message: str) -> None:
    if is_first_process():
        print(f"warning: {message}", file=sys.stderr)


def _checkpoint_of(path: Path) -> Path:
    checkpoint = RunFolder(path).checkpoint if path.is_dir() else path
    if not checkpoint.is_file() and not (path.is_dir() and RunFolder(path).checkpoints()):
        raise UserError(
            f"resume={path}", rule=f"there is no {checkpoint}", fix="Name a run folder or a checkpoint, or use auto"
        )
    return checkpoint


def _refuse_changes(config: TrainSettings, before: Path) -> None:
    if not before.exists():
        return
    old, new = flatten(as_dict(read_own(before))), flatten(as_dict(config))
    changed = [key for key in sorted(old.keys() | new.keys()) if fixed_on_resume(key) and old.get(key) != new.get(key)]
    if changed:
        listing = "; ".join(f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed)
        raise UserError(
            f"resuming {before.parent}",
            rule=f"these settings differ from those it was trained with: {listing}",
            fix="Give the old values, or another output_dir for a new run",
        )
