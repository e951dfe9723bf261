"""Atomic checkpoint files, read without running code.

Tensors stream into a hidden file in the same folder, which is synced to the disk and renamed: after a crash, a
power failure or on a full disk, the name refers to the old file or the complete new one. The file ends with its hash,
which detects later damage (see `stylegen.checkpoints.sealed`).
"""

import errno
import shutil
from pathlib import Path
from typing import Any

from stylegen.checkpoints.sealed import damaged, load_sealed, save_sealed
from stylegen.errors import RunError
from stylegen.files import replacing
from stylegen.training.checkpoint_content import content_problem, tensors_in
from stylegen.training.step import TrainingStep

_MARGIN = 2**20  # bytes for names, structure and alignment, in addition to two percent of the tensors


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write `checkpoint` to `path`, or leave `path` as it was.

    Raises:
        RunError: the disk is full, or writing failed; the partial file is removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_space(path, required_bytes(checkpoint))
        with replacing(path, durable=True, locked=True) as partial, partial.open("wb", buffering=2**20) as file:
            save_sealed(checkpoint, file)
    except OSError as error:
        raise _cannot_write(path, error) from error


def read_checkpoint(path: Path, step: TrainingStep | None = None) -> dict[str, Any]:
    """Read a checkpoint that a run can continue from: tensors and plain values.

    Args:
        step: the step that will load it; compares the shapes of weights and optimizer states.

    Raises:
        UserError: the file cannot be read, or contains code.
        DamagedFile: the hash does not match, a field is missing or of another type, weights are not finite, or shapes
            do not match; an older checkpoint may be intact.
    """
    checkpoint = load_sealed(path)
    problem = content_problem(checkpoint, path.stat().st_size, step)
    if problem is not None:
        raise damaged(path, problem)
    evaluation = checkpoint["observers"]["evaluation"]
    evaluation.setdefault("pending", evaluation.pop("owed", None))  # its name in earlier checkpoints
    return dict(checkpoint)


def link_checkpoint(path: Path, name: str) -> None:
    """Make `name`, in the same folder, a hard link to `path`, or a copy if the file system has no links."""
    second = path.with_name(name)
    try:
        with replacing(second, durable=True, locked=True) as partial:
            try:
                partial.unlink()
                partial.hardlink_to(path)
            except OSError:
                shutil.copyfile(path, partial)
    except OSError as error:
        raise _cannot_write(second, error) from error


def required_bytes(checkpoint: Any) -> int:
    """Size of the tensors in bytes, shared memory counted once, plus a margin for the rest."""
    storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors_in(checkpoint))}
    tensors = sum(storages.values())
    return tensors + tensors // 50 + _MARGIN


def _require_space(path: Path, size: int) -> None:
    usage = shutil.disk_usage(path.parent)
    if usage.total and usage.free < size:  # some network file systems report 0
        needed = f"it needs {size / 2**20:.1f} MiB and {usage.free / 2**20:.1f} MiB are free"
        raise _cannot_write(path, OSError(errno.ENOSPC, needed))


def _cannot_write(path: Path, error: OSError) -> RunError:
    fixes = {
        errno.ENOSPC: "Free space",
        errno.EDQUOT: "Free space in your quota",
        errno.EACCES: f"Make {path.parent} writable",
        errno.EPERM: f"Make {path.parent} writable",
        errno.EROFS: "Remount the disk writable",
    }
    fix = fixes.get(error.errno or 0, "Check the disk")
    return RunError(
        f"checkpoint {path} cannot be written ({error.strerror or error}); the previous checkpoint is intact. "
        f"{fix}, then run the same command with output_dir={path.parent.parent}"
    )
