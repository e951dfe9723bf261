"""Checkpoint files: there whole or not at all, and read without running code.

Lightning's own plugin builds the whole file in memory, writes it to the folder of temporary files, and moves it without
asking the disk. Here the tensors stream into a hidden file beside the destination, which takes its name once it is on
the disk: after a crash, a power failure or a full disk the name holds the old file or the whole new one. Its hash is
its last part, so that damage that comes later is noticed too (see `stylegen.checkpoints.sealed`).
"""

import errno
import shutil
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from stylegen.checkpoints.sealed import damaged, load_sealed, save_sealed
from stylegen.errors import RunError
from stylegen.files import replacing
from stylegen.training.lightning.checkpoint_content import content_problem, tensors_in
from stylegen.training.lightning.module import StyleGANModule

_MARGIN = 2**20  # bytes for names, structure and alignment, beside two per cent of the tensors


class CheckpointFiles(CheckpointIO):
    """Writes and reads checkpoints for Lightning's trainer; the trainer calls it on the first process only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            RunError: there is not enough room, before anything is written; or the writing failed, and nothing is left
                of it.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _require_room(path, required_bytes(checkpoint))
            with replacing(path, durable=True, locked=True) as partial, partial.open("wb", buffering=2**20) as file:
                save_sealed(checkpoint, file)
        except (OSError, RuntimeError) as error:
            cause = _os_error(error)
            if cause is None:
                raise
            raise _cannot_write(path, cause) from error

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """The checkpoint at `path`: tensors and plain values, and nothing else is ever accepted.

        Raises:
            UserError: a file that cannot be read, is damaged, or contains code.
        """
        checkpoint: dict[str, Any] = load_sealed(Path(path))
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete the file if it is there."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path, module: StyleGANModule | None = None) -> dict[str, Any]:
    """A checkpoint that a run can continue from.

    Args:
        module: that is to be continued; the shapes of weights and of the optimizers' state are compared with its own.

    Raises:
        UserError: the file cannot be read, or contains code.
        DamagedFile: its bytes are not those that were written, a field is missing or of another type, weights are not
            finite, or shapes do not fit; an older checkpoint may do.
    """
    checkpoint = load_sealed(path)
    problem = content_problem(checkpoint, path.stat().st_size, module)
    if problem is not None:
        raise damaged(path, problem)
    return dict(checkpoint)


def give_second_name(path: Path, name: str) -> None:
    """Let `name`, in the same folder, mean the file `path` too: a hard link, or a copy where there are none."""
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
    """Size of the tensors in bytes, memory that several share counted once, and a margin for the rest."""
    storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors_in(checkpoint))}
    tensors = sum(storages.values())
    return tensors + tensors // 50 + _MARGIN


def _require_room(path: Path, size: int) -> None:
    usage = shutil.disk_usage(path.parent)
    if usage.total and usage.free < size:  # some network file systems say that they have nothing at all
        needed = f"it needs {size / 2**20:.1f} MiB and {usage.free / 2**20:.1f} MiB are free"
        raise _cannot_write(path, OSError(errno.ENOSPC, needed))


def _os_error(error: BaseException | None) -> OSError | None:
    """The failure of the file behind an error: torch's writer reports its own confusion in place of it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def _cannot_write(path: Path, error: OSError) -> RunError:
    fixes = {
        errno.ENOSPC: "Make room",
        errno.EDQUOT: "Make room in your quota",
        errno.EACCES: f"Make {path.parent} writable",
        errno.EPERM: f"Make {path.parent} writable",
        errno.EROFS: "Mount the disk for writing",
    }
    fix = fixes.get(error.errno or 0, "Check the disk")
    return RunError(
        f"checkpoint {path} cannot be written ({error.strerror or error}); the one before it is whole. "
        f"{fix}, then give the same command with output_dir={path.parent.parent}"
    )
