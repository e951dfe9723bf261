"""Puts output files in their place: all or none, never over files with other content."""

import filecmp
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylegen.errors import RunError, Stopped, UserError
from stylegen.files import exclusive, write_text

_SETTINGS = "settings"  # of an interrupted call
_PLAN = "plan.json"  # where its files go
_LONG = 100  # bytes that a hidden folder's name takes from another name


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
        if several and out.is_mount():  # files are prepared beside it, and moved
            raise UserError(f"out={out}", rule="it is the root of a disk", fix=f"Use out={out / 'samples'}")
        for folder in {existing_folder(out if several else out.parent), existing_folder(out.parent)}:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"out={out}", rule=f"it cannot be written ({reason})", fix="Use out=PATH in a writable folder"
        ) from error


def place(
    write: Callable[[Path], None],
    out: Path,
    keep_both: bool,
    continues: str | None = None,
    companion: str | None = None,
) -> list[Path]:
    """Write the file `out`, or the files of the folder `out` -> their paths.

    Args:
        write: writes a new file, or a new folder of files, at the path that it is given.
        keep_both: append a number to `out` if files with other content exist, instead of raising.
        continues: what the output depends on; an interrupted call keeps the folder in which `write` works for the next
            call with an equal text. None deletes it.
        companion: name of a further file that `write` may make in the folder of its path; becomes `<out>.<companion>`.

    Raises:
        UserError: a file with other content exists, or another process writes the same output.
        Stopped: Ctrl-C, with `continues`.
    """
    with _workspace(out, continues) as folder:
        plan = folder / _PLAN
        if not plan.exists():
            new = folder / f"new{out.suffix}"
            write(new)
            write_text(plan, json.dumps(_plan(folder, new, out, keep_both, companion)))
        name, further, names = json.loads(plan.read_text())  # as an interrupted call has made it
        target = out.with_name(name)
        if further is not None:
            _move(folder / str(companion), out.with_name(further))
        for file in names:
            _move(folder / f"new{out.suffix}" / file, target / file)
    return [target / file for file in names]


def _plan(
    folder: Path, new: Path, out: Path, keep_both: bool, companion: str | None
) -> tuple[str, str | None, list[str]]:
    """Names of the target, of the further file if there is one, and of the files in the target; [""] for one file."""
    names = sorted(path.name for path in new.iterdir()) if new.is_dir() else [""]
    target, further = _target(new, names, out, keep_both), None
    if companion is not None and (folder / companion).exists():
        further = _target(folder / companion, [""], target.with_name(f"{target.name}.{companion}"), keep_both=True).name
    return target.name, further, names


def _move(new: Path, target: Path) -> None:
    """Move a file, unless an interrupted call has moved it."""
    if new.exists():
        if target.exists() and not filecmp.cmp(target, new, shallow=False):
            raise _conflict(target, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        new.replace(target)


@contextmanager
def _workspace(out: Path, continues: str | None) -> Iterator[Path]:
    """Context manager: a hidden folder on the disk of `out`, deleted at the end or kept for a continuation."""
    if continues is None:
        name = f".{_shortened(out.stem)}."
        with tempfile.TemporaryDirectory(prefix=name, dir=existing_folder(out.parent)) as folder:
            yield Path(folder)
        return
    work = out.parent / f".{_shortened(out.name)}.partial"
    with exclusive(out.resolve(), wait=False):
        made = [path for path in (out.parent, *out.parent.parents) if not path.exists()]
        _open(work, out, continues)
        kept = f"Finished parts are in {work}; the same command continues"
        try:
            yield work
        except _Conflict as error:
            raise UserError(error.problem, rule=error.rule, fix=f"{error.fix}. {kept}") from error
        except UserError:
            _discard(work)
            for path in made:
                with suppress(OSError):  # others may use it by now
                    path.rmdir()
            raise
        except KeyboardInterrupt:
            raise Stopped(f"interrupted. {kept}", 130) from None
        except OSError as error:  # such as a full disk
            where = f"{error.filename}: " if error.filename else ""
            raise RunError(f"{where}{error.strerror or error}. {kept}") from error
        _discard(work)


def _open(work: Path, out: Path, settings: str) -> None:
    """The workspace of an interrupted call with these settings, or an empty one."""
    file = work / _SETTINGS
    if work.exists() and (not file.is_file() or file.read_text() != settings or _lost(work, out)):
        _discard(work)
    if not work.exists():
        work.mkdir(parents=True)
        file.write_text(settings)


def _lost(work: Path, out: Path) -> bool:
    """Whether files that an interrupted call has moved were deleted since."""
    if not (work / _PLAN).exists():
        return False
    name, _, files = json.loads((work / _PLAN).read_text())
    places = (work / f"new{out.suffix}", out.with_name(name))
    return not all(any((place / file).exists() for place in places) for file in files)


def _discard(work: Path) -> None:
    """Delete a workspace, its settings first: without them, what a kill leaves is not continued."""
    (work / _SETTINGS).unlink(missing_ok=True)
    shutil.rmtree(work)


def _shortened(name: str) -> str:
    """The name, or its beginning and a hash: a name has at most 255 bytes on a disk."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONG:
        return name
    return f"{name[: _LONG // 8]}_{hashlib.blake2b(encoded, digest_size=8).hexdigest()}"


class _Conflict(UserError):
    """A file with other content exists."""


def _conflict(out: Path, other: Path) -> _Conflict:
    rule = f"{other} exists with other content"
    return _Conflict(f"out={out}", rule=rule, fix="Use another out=PATH, or move the file")


def _target(new: Path, names: list[str], out: Path, keep_both: bool) -> Path:
    """`out`, or the first numbered path without files of other content.

    Raises:
        UserError: such a file at `out`, and not `keep_both`.
    """
    target, number = out, 1
    while (other := _other_content(new, names, target)) is not None:
        if not keep_both:
            raise _conflict(out, other)
        number += 1
        suffix = out.suffix if new.is_file() else ""  # a folder's name may contain a dot
        target = out.with_name(f"{out.name.removesuffix(suffix)}_{number}{suffix}")
    return target


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
