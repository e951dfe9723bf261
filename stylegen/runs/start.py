"""Chooses the folder and checkpoint that a training starts from. Writes nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.bounds import REQUIRED
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.schema import fixed_on_resume
from stylegen.config.sections import as_dict, flatten
from stylegen.config.train_composition import output_root, read_run_settings
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.data.dataset import OPENMOJI
from stylegen.errors import UserError
from stylegen.runs.run_lock import check_unlocked
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.step import TrainingStep


@dataclass(frozen=True)
class Start:
    """The start of a training.

    Attributes:
        folder: the run folder, which may not exist yet.
        checkpoint: the file to continue from; None for a new run.
        images_seen: training images up to this checkpoint; 0 for a new run.
        evaluation_pending: the run was killed during an evaluation, which will be repeated.
        chosen: `resume=` names this checkpoint, so that later results of the run are discarded.
        numbered: `folder` is the parent of a numbered folder that is created later.
    """

    folder: RunFolder
    checkpoint: Path | None = None
    images_seen: int = 0
    evaluation_pending: bool = False
    chosen: bool = False
    numbered: bool = False

    def is_finished(self, settings: TrainSettings) -> bool:
        """Whether nothing is left to do."""
        pending = self.evaluation_pending and bool(settings.evaluation.metrics)
        return self.checkpoint is not None and self.images_seen >= round(settings.total_kimg * 1000) and not pending

    def run_settings(self) -> TrainSettings | None:
        """The settings of the run that is continued; None for a new run, or a checkpoint outside a run folder."""
        config = None if self.checkpoint is None else RunFolder(self.checkpoint.parent.parent).config
        return None if config is None or not config.exists() else read_run_settings(config)


def find_start(settings: TrainSettings, step: TrainingStep | None = None, fingerprint: str | None = None) -> Start:
    """Choose the start by `resume` and `output_dir`.

    Args:
        settings: the checked settings of `train`.
        step: the step to train; a checkpoint with other shapes counts as damaged. None skips this check.
        fingerprint: hash of the dataset; must equal the run's. None skips this check.

    Raises:
        UserError: a folder that is in use, holds other files, holds a run although resume=never, or cannot be read; no
            intact checkpoint; settings or data that differ from the run's.
    """
    with _readable(settings):
        start, content = _find(settings, step)
    if fingerprint is not None and content.get("fingerprint", fingerprint) != fingerprint:
        raise UserError(
            f"data.path={settings.data.path}",
            rule="its images or labels differ from the run's training data",
            fix="Restore them, or start a new run with another output_dir",
        )
    return start


def last_saved(settings: TrainSettings) -> int | None:
    """Modification time of last.ckpt in `output_dir` in nanoseconds; None if there is none."""
    output = output_root(settings)
    with _readable(settings):
        path = None if output is None else RunFolder(output).checkpoint
        return path.stat().st_mtime_ns if path is not None and path.is_file() else None


def check_data_apart(settings: TrainSettings) -> None:
    """Raise UserError if the data are inside the run folder, or the run folder is inside the data."""
    if settings.data.path in (REQUIRED, OPENMOJI):
        return
    data = Path(settings.data.path).expanduser().resolve()
    root = output_root(settings)
    folder = RunFolder(Path("runs") if root is None else root)
    written = [folder.root, folder.reals.parent, folder.snapshot(0).parent, folder.checkpoint.parent]
    inside = root is not None and any(data.is_relative_to(path.resolve()) for path in written)
    if not inside and not (data.is_dir() and folder.root.resolve().is_relative_to(data)):
        return
    raise UserError(
        f"data.path={settings.data.path} output_dir={folder.root}",
        rule=f"the {'data are inside the run folder' if inside else 'run folder is inside the data'}, "
        "so samples would mix with training images",
        fix="Use an output_dir outside the data",
    )


def _find(settings: TrainSettings, step: TrainingStep | None) -> tuple[Start, dict[str, Any]]:
    """The start, and the content of its checkpoint."""
    output = output_root(settings)
    if settings.trainer.requeue and (output is None or settings.resume != "auto"):
        raise UserError(
            f"output_dir={settings.output_dir} resume={settings.resume} with trainer.requeue=true",
            rule="a requeued job continues the run in its output_dir",
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
        raise _occupied(output, "resume=never does not continue it")
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
            fix="Use a readable and writable folder",
        ) from error


def _occupied(path: Path, why: str) -> UserError:
    return UserError(f"output_dir={path}", rule=f"it already holds a run, and {why}", fix="Use another folder")


def _checkpoint_of(path: Path) -> Path:
    checkpoint = RunFolder(path).checkpoint if path.is_dir() else path
    if not checkpoint.is_file() and not (path.is_dir() and RunFolder(path).checkpoints()):
        raise UserError(
            f"resume={path}", rule=f"there is no {checkpoint}", fix="Use a run folder, a checkpoint, or auto"
        )
    return checkpoint


def _continue(
    settings: TrainSettings, folder: RunFolder, checkpoint: Path, step: TrainingStep | None
) -> tuple[Start, dict[str, Any]]:
    """Continue from the newest intact checkpoint; warns about damaged and missing ones.

    Args:
        checkpoint: the first file to try; an older one in the same folder replaces a damaged last.ckpt.
    """
    _refuse_changes(settings, checkpoint.parent.parent / "config.yaml")
    candidates = [checkpoint]
    if checkpoint.name == "last.ckpt":
        candidates = RunFolder(checkpoint.parent.parent).checkpoints()
        if checkpoint not in candidates:
            _warn(f"{checkpoint} is missing; using {candidates[0].name}")
    for candidate in candidates:
        try:
            content = read_checkpoint(candidate, step)
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # it may be intact; continuing from an older one would delete it
                raise
            _warn(f"{error.problem}: {error.rule}")
        else:
            pending = content["observers"]["evaluation"]["pending"]
            chosen = checkpoint.name != "last.ckpt"
            return Start(folder, candidate, content["clock"]["images_seen"], pending, chosen), content
    raise UserError(
        f"checkpoint {checkpoint}",
        rule="neither it nor an older checkpoint in its folder can be read",
        fix="Copy them again, or start a new run with another output_dir",
    )


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _refuse_changes(settings: TrainSettings, before: Path) -> None:
    """Compare with the config.yaml of the run, except settings that a resumed run may change."""
    if not before.exists():
        return
    old, new = flatten(as_dict(read_run_settings(before))), flatten(as_dict(settings))
    changed = [key for key in sorted(old.keys() | new.keys()) if fixed_on_resume(key) and old.get(key) != new.get(key)]
    if changed:
        listing = "; ".join(f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed)
        raise UserError(
            f"resuming {before.parent}",
            rule=f"these settings differ from the run's: {listing}",
            fix="Use the old values, or start a new run with another output_dir",
        )


def _check_new(folder: RunFolder) -> None:
    """Raise UserError unless `folder` is empty, or holds a run without a checkpoint."""
    root = folder.root
    if root.exists() and not root.is_dir():
        raise UserError(f"output_dir={root}", rule="it is a file", fix="Use a folder")
    if not folder.is_run():
        if not folder.is_vacant():
            raise UserError(
                f"output_dir={root}",
                rule="the folder is not empty and holds no run",
                fix="Use a new or empty folder",
            )
    elif folder.saved.exists() or _is_past_first_checkpoint(folder):
        raise UserError(
            f"output_dir={root}",
            rule=f"the run has reached {folder.last_output() / 1000:g} kimg, and checkpoints/ holds no checkpoint",
            fix="Restore one, or start a new run with another output_dir",
        )


def _is_past_first_checkpoint(folder: RunFolder) -> bool:
    """Whether the run has results after its first checkpoint was due, by the interval in its config.yaml.

    The marker `.saved` is hidden, so copies of a run may lack it.
    """
    try:
        config = load_yaml(folder.config)
        batches = [config["batch_size"], *((config.get("growth") or {}).get("batch_sizes") or [])]
        due = min(config["checkpoint_every_kimg"] or config["total_kimg"], config["total_kimg"]) * 1000
        return folder.last_output() >= due + max(batches) * (due < config["total_kimg"] * 1000)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return folder.last_output() > 0  # unknown interval: any result counts
