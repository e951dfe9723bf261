"""Where a training starts: in which folder, and from which checkpoint. Nothing here writes, but `create_folder`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stylegen.bounds import REQUIRED
from stylegen.checkpoints.run_folder import RunFolder, next_run_folder
from stylegen.config.continued import output_root, read_own
from stylegen.config.schema import fixed_on_resume
from stylegen.config.sections import as_dict, flatten
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.data.dataset import OPENMOJI
from stylegen.errors import UserError
from stylegen.runs.run_lock import check_unlocked
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.step import TrainingStep


@dataclass(frozen=True)
class Start:
    """Where to start.

    Attributes:
        folder: of the run.
        checkpoint: to continue from; None for a new run.
        images_seen: at that checkpoint.
        owes_evaluation: the run was killed in an evaluation, which is repeated.
        numbered: `folder` is the parent of a numbered folder that does not exist yet.
    """

    folder: RunFolder
    checkpoint: Path | None = None
    images_seen: int = 0
    owes_evaluation: bool = False
    numbered: bool = False

    def is_finished(self, settings: TrainSettings) -> bool:
        """Whether nothing is left to do."""
        owed = self.owes_evaluation and bool(settings.evaluation.metrics)
        return self.checkpoint is not None and self.images_seen >= round(settings.total_kimg * 1000) and not owed


def find_start(settings: TrainSettings, step: TrainingStep | None = None, fingerprint: str | None = None) -> Start:
    """Choose by `resume` and `output_dir`.

    Args:
        settings: of `train`.
        step: that will be trained; a checkpoint of other shapes counts as damaged. None does not compare them.
        fingerprint: of the dataset, which must be the one that the run was trained on. None does not compare it.

    Raises:
        UserError: a folder that another training uses, that holds other files, that holds a run although resume=never,
            or that cannot be read; no checkpoint that is whole; other settings or other data than the run's.
    """
    with _readable(settings):
        start, content = _find(settings, step)
    if fingerprint is not None and content.get("fingerprint", fingerprint) != fingerprint:
        raise UserError(
            f"data.path={settings.data.path}",
            rule="its images or labels are not those that the run was trained on",
            fix="Restore them, or start a new run with another output_dir",
        )
    return start


def create_folder(start: Start, name: str) -> Start:
    """`start` in a new folder runs/00003-<name> where no folder was named."""
    return replace(start, folder=next_run_folder(start.folder.root, name), numbered=False) if start.numbered else start


def last_saved(settings: TrainSettings) -> int | None:
    """Modification time of last.ckpt in `output_dir` in nanoseconds; None if there is none."""
    output = output_root(settings)
    with _readable(settings):
        path = None if output is None else RunFolder(output).checkpoint
        return path.stat().st_mtime_ns if path is not None and path.is_file() else None


def check_data_apart(settings: TrainSettings) -> None:
    """Raise UserError where a run would write among the images that it reads, or read what it writes."""
    if settings.data.path in (REQUIRED, OPENMOJI):
        return
    data = Path(settings.data.path).expanduser().resolve()
    root = output_root(settings)
    folder = RunFolder(Path("runs") if root is None else root)
    own = [folder.root, folder.reals.parent, folder.snapshot(0).parent, folder.checkpoint.parent]
    inside = root is not None and any(data.is_relative_to(path.resolve()) for path in own)
    if not inside and not (data.is_dir() and folder.root.resolve().is_relative_to(data)):
        return
    raise UserError(
        f"data.path={settings.data.path} output_dir={folder.root}",
        rule=f"the {'data lie in the run folder' if inside else 'run folder lies among the data'}, "
        "so samples would mix with training images",
        fix="Name an output_dir apart from the data",
    )


def _find(settings: TrainSettings, step: TrainingStep | None) -> tuple[Start, dict[str, Any]]:
    """The start, and the content of its checkpoint."""
    output = output_root(settings)
    if settings.trainer.requeue and (output is None or settings.resume != "auto"):
        raise UserError(
            f"output_dir={settings.output_dir} resume={settings.resume} with trainer.requeue=true",
            rule="a job that comes back from the queue continues what is in its output_dir",
            fix="Add output_dir=FOLDER and leave resume=auto",
        )
    if settings.resume not in ("auto", "never"):
        source = _checkpoint_of(Path(settings.resume).expanduser())
        folder = RunFolder(output or source.parent.parent)
        if folder.root.resolve() != source.parent.parent.resolve():
            if folder.config.exists():
                raise _occupied(folder.root, f"resume={settings.resume} would continue another run in it")
            _check_new(folder)
        return _continue(settings, folder, source, step)
    if output is None:
        return Start(RunFolder(Path("runs")), numbered=True), {}
    folder = RunFolder(output)
    check_unlocked(folder.root)
    if settings.resume == "auto" and folder.checkpoints():
        return _continue(settings, folder, folder.checkpoint, step)
    if settings.resume == "never" and folder.config.exists():
        raise _occupied(output, "resume=never continues none")
    _check_new(folder)
    return Start(folder), {}


@contextmanager
def _readable(settings: TrainSettings) -> Iterator[None]:
    """Context manager: turns an OSError into a UserError that names the folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"output_dir={settings.output_dir} resume={settings.resume}",
            rule=f"{error.filename or 'the folder'} cannot be read ({error.strerror or error})",
            fix="Name a folder that you may read and write",
        ) from error


def _occupied(path: Path, why: str) -> UserError:
    return UserError(f"output_dir={path}", rule=f"it holds a run already and {why}", fix="Name another folder")


def _checkpoint_of(path: Path) -> Path:
    checkpoint = RunFolder(path).checkpoint if path.is_dir() else path
    if not checkpoint.is_file() and not (path.is_dir() and RunFolder(path).checkpoints()):
        raise UserError(
            f"resume={path}", rule=f"there is no {checkpoint}", fix="Name a run folder or a checkpoint, or use auto"
        )
    return checkpoint


def _continue(
    settings: TrainSettings, folder: RunFolder, checkpoint: Path, step: TrainingStep | None
) -> tuple[Start, dict[str, Any]]:
    """From the newest checkpoint that is whole; warns about damaged and missing ones.

    Args:
        checkpoint: to continue from; older ones of the same folder replace a damaged last.ckpt.
    """
    _refuse_changes(settings, checkpoint.parent.parent / "config.yaml")
    candidates = [checkpoint]
    if checkpoint.name == "last.ckpt":
        candidates = RunFolder(checkpoint.parent.parent).checkpoints()
        if checkpoint not in candidates:
            _warn(f"{checkpoint} is missing; {candidates[0].name} takes its place")
    for candidate in candidates:
        try:
            content = read_checkpoint(candidate, step)
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # it may be whole, and an older one would replace it for good
                raise
            _warn(f"{error.problem}: {error.rule}")
        else:
            owed = content["observers"]["evaluation"]["owed"]
            return Start(folder, candidate, content["clock"]["images_seen"], owed), content
    raise UserError(
        f"checkpoint {checkpoint}",
        rule="neither it nor an older one beside it can be read",
        fix="Copy them again, or name another output_dir to train from the beginning",
    )


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _refuse_changes(settings: TrainSettings, before: Path) -> None:
    """Compare with the config.yaml of the run, except settings that a resumed run may change."""
    if not before.exists():
        return
    old, new = flatten(as_dict(read_own(before))), flatten(as_dict(settings))
    changed = [key for key in sorted(old.keys() | new.keys()) if fixed_on_resume(key) and old.get(key) != new.get(key)]
    if changed:
        listing = "; ".join(f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed)
        raise UserError(
            f"resuming {before.parent}",
            rule=f"these settings differ from those it was trained with: {listing}",
            fix="Give the old values, or another output_dir for a new run",
        )


def _check_new(folder: RunFolder) -> None:
    """Raise UserError unless `folder` is empty, or holds a run without a checkpoint."""
    root = folder.root
    if root.exists() and not root.is_dir():
        raise UserError(f"output_dir={root}", rule="it is a file", fix="Name a folder")
    if not folder.is_run():
        if not folder.is_vacant():
            raise UserError(
                f"output_dir={root}",
                rule="the folder is not empty and holds no run",
                fix="Name a new or an empty folder",
            )
    elif folder.saved.exists() or _is_beyond_a_checkpoint(folder):
        raise UserError(
            f"output_dir={root}",
            rule=f"the run has reached {folder.newest_moment() / 1000:g} kimg, and checkpoints/ holds no checkpoint",
            fix="Restore one, or name another output_dir to train from the beginning",
        )


def _is_beyond_a_checkpoint(folder: RunFolder) -> bool:
    """Whether the run has results that are later than its first checkpoint, by the interval in its config.yaml.

    The marker `.saved` is hidden, so copies of a run may lack it.
    """
    try:
        own = load_yaml(folder.config)
        batches = [own["batch_size"], *((own.get("growth") or {}).get("batch_sizes") or [])]
        due = min(own["checkpoint_every_kimg"] or own["total_kimg"], own["total_kimg"]) * 1000
        return folder.newest_moment() >= due + max(batches) * (due < own["total_kimg"] * 1000)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return folder.newest_moment() > 0  # unknown: any result counts
