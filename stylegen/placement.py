"""Puts output files in their place: all or none, never over files with other content."""

import filecmp
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylegen.errors import UserError
from stylegen.files import exclusive


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


def place(
    write: Callable[[Path], None], out: Path, keep_both: bool, continues: str | None = None, beside: str | None = None
) -> list[Path]:
    """Write the file `out`, or the files of the folder `out` -> their paths.

    Args:
        write: writes a new file, or a new folder of files, at the path that it is given.
        keep_both: append a number to `out` if files with other content exist, instead of raising.
        continues: what the output depends on; an interrupted call keeps the folder in which `write` works for the next
            call with an equal text. None deletes it.
        beside: name of a further file that `write` may make in the folder of its path; becomes `<out>.<beside>`.

    Raises:
        UserError: a file with other content exists, or another process writes the same output.
    """
    with _workspace(out, continues) as folder:
        new = folder / f"new{out.suffix}"
        write(new)
        names = sorted(path.name for path in new.iterdir()) if new.is_dir() else [""]
        target = _target(new, names, out, keep_both)
        if beside is not None and (folder / beside).exists():
            named = target.with_name(f"{target.name}.{beside}")
            further = _target(folder / beside, [""], named, keep_both=True)
            (folder / beside).replace(_with_parents(further))
        for name in names:
            (new / name).replace(_with_parents(target / name))
    return [target / name for name in names]


@contextmanager
def _workspace(out: Path, continues: str | None) -> Iterator[Path]:
    """Context manager: a hidden folder on the disk of `out`, deleted at the end or kept for a continuation."""
    parent = existing_folder(out.parent)
    if continues is None:
        with tempfile.TemporaryDirectory(prefix=f".{out.stem[:100]}.", dir=parent) as folder:
            yield Path(folder)
        return
    work = parent / f".{out.name[:100]}.partial"
    with exclusive(out, wait=False):
        made_by = work / "settings"
        if work.exists() and not (made_by.is_file() and made_by.read_text() == continues):
            shutil.rmtree(work)
        if not work.exists():
            work.mkdir()
            made_by.write_text(continues)
        try:
            yield work
        except UserError:
            shutil.rmtree(work)
            raise
        shutil.rmtree(work)


def _target(new: Path, names: list[str], out: Path, keep_both: bool) -> Path:
    """`out`, or the first numbered path without files of other content.

    Raises:
        UserError: such a file at `out`, and not `keep_both`.
    """
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
    return target


def _with_parents(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


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
