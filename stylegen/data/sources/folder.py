"""A folder of images at any depth, with an optional `dataset.json` at its top."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stylegen.data.metadata import FILE_NAME, dump_metadata
from stylegen.data.sources.formats import IMAGE_SUFFIXES, MAX_IMAGE_BYTES, MAX_METADATA_BYTES, is_image, is_unread_image
from stylegen.data.sources.source import Source, stamp_of
from stylegen.errors import UserError
from stylegen.files import replacing_folder


class FolderSource(Source):
    """Links to folders are followed (each folder once), because large collections are often assembled from links.

    Args:
        suffixes: endings of image files, such as ".png".

    Raises:
        UserError: a subfolder that cannot be listed; a `dataset.json` that cannot be read or does not fit the images.
    """

    def __init__(self, path: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> None:
        super().__init__(path)
        files = _find_files(path)
        self._keys = [key for key in files if is_image(key, suffixes)]
        self.unread = [key for key in files if is_unread_image(key, suffixes)]
        self._known = frozenset(self._keys)
        if (path / FILE_NAME).is_file():
            self._parse_note(_read(path / FILE_NAME, None, MAX_METADATA_BYTES))

    def read(self, key: str, limit: int | None = None) -> bytes:
        if key not in self._known:
            raise KeyError(key)
        return _read(self.path / key, limit, MAX_IMAGE_BYTES)

    def stamp(self) -> str:
        """From names, sizes and modification times."""

        def line(key: str) -> str:
            try:
                status = (self.path / key).stat()
            except OSError:  # a dangling link; `read` reports it
                return f"{key} missing\n"
            return f"{key} {status.st_size} {status.st_mtime_ns}\n"

        return stamp_of(map(line, self._keys))


def write_folder(path: Path, images: Iterable[tuple[str, bytes]], metadata: dict[str, Any]) -> None:
    """Write encoded images and `dataset.json` as a new folder, atomically; see `replacing_folder`."""
    with replacing_folder(path) as partial:
        for key, data in images:
            (partial / key).parent.mkdir(parents=True, exist_ok=True)
            (partial / key).write_bytes(data)
        (partial / FILE_NAME).write_bytes(dump_metadata(metadata))


def _read(path: Path, limit: int | None, largest: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block
            raise OSError(0, "not a regular file")
        if status.st_size > largest:
            raise OSError(0, f"{status.st_size // 2**20} MiB, more than {largest // 2**20} MiB")
        with path.open("rb") as file:
            return file.read() if limit is None else file.read(limit)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror})",
            rule="every file of a dataset must be readable",
            fix="Check the permissions, or remove the file",
        ) from error


def _find_files(top: Path) -> list[str]:
    keys: list[str] = []
    visited = set()
    for folder, folders, files in os.walk(top, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in visited:  # a link to a parent folder
            folders.clear()
            continue
        visited.add(real)
        below = Path(folder).relative_to(top)
        keys += [(below / name).as_posix() for name in files]
        folders.sort()
    return sorted(keys)


def _refuse(error: OSError) -> None:
    raise UserError(
        f"{error.filename} cannot be listed ({error.strerror})",
        rule="no part of a dataset is ignored silently",
        fix="Change its permissions, or move it elsewhere",
    ) from error
