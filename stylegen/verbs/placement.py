"""Puts output files in their place: all or none, never over files with other content."""

import filecmp
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stylegen.errors import UserError


def check_writable(out: Path, several: bool, setting: str) -> None:
    """Raise UserError for a folder that is not writable, a file where a folder is needed, or the reverse.

    Args:
        several: a folder is written, not one file.
        setting: that decides it, such as "mode=grid", for error messages.
    """
    try:
        if out.exists() and out.is_dir() != several:
            kind = "a folder" if several else "one file"
            raise UserError(
                f"out={out}",
                rule=f"{setting} writes {kind}, and this is {'one file' if several else 'a folder'}",
                fix="Use another out=PATH",
            )
        with tempfile.TemporaryFile(dir=existing_folder(out if several else out.parent)):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"out={out}", rule=f"it cannot be written ({reason})", fix="Use out=PATH in a writable folder"
        ) from error


def place(write: Callable[[Path], None], out: Path, keep_both: bool) -> list[Path]:
    """Write the file `out`, or the files of the folder `out` -> their paths.

    Args:
        write: writes a new file, or a new folder of files, at the path that it is given.
        keep_both: append a number to `out` if files with other content exist, instead of raising.

    Raises:
        UserError: a file with other content exists.
    """
    with tempfile.TemporaryDirectory(prefix=f".{out.stem[:100]}.", dir=existing_folder(out.parent)) as folder:
        new = Path(folder) / f"new{out.suffix}"
        write(new)
        names = sorted(path.name for path in new.iterdir()) if new.is_dir() else [""]
        target, number = out, 1
        while (other := _other_content(new, names, target)) is not None:
            if not keep_both:
                raise UserError(
                    f"out={out}",
                    rule=f"{other} exists with other content",
                    fix="Use another out=PATH, or move the file",
                )
            number += 1
            suffix = out.suffix if new.is_file() else ""  # a folder's name may contain a dot
            target = out.with_name(f"{out.name.removesuffix(suffix)}_{number}{suffix}")
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).replace(target / name)
    return [target / name for name in names]


def existing_folder(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _other_content(new: Path, names: list[str], target: Path) -> Path | None:
    """The first existing file at `target` that differs from the new file of the same name."""
    for name in names:
        with suppress(FileNotFoundError):
            if not filecmp.cmp(target / name, new / name, shallow=False):
                return target / name
    return None
