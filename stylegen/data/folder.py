"""A folder of pictures, at any depth, with an optional `dataset.json` at its top."""

import os
from pathlib import Path
from typing import Any

from stylegen.data.metadata import FILE_NAME, Label, is_picture, parse_labels, parse_metadata
from stylegen.errors import UserError


class FolderSource:
    """Keeps the protocol `stylegen.data.source.Source`.

    Links to folders are followed, each folder once, since large collections are often linked together.

    Raises:
        UserError: a `dataset.json` that cannot be read or does not fit the pictures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys = _find_pictures(path)
        self._known = frozenset(self._keys)
        note = path / FILE_NAME
        self.metadata: dict[str, Any] = parse_metadata(_read(note, None), str(note)) if note.is_file() else {}
        self._labels = parse_labels(self.metadata, self._keys, str(note))

    def keys(self) -> list[str]:
        return list(self._keys)

    def read(self, key: str, limit: int | None = None) -> bytes:
        if key not in self._known:
            raise KeyError(key)
        return _read(self.path / key, limit)

    def label(self, key: str) -> Label | None:
        return None if self._labels is None else self._labels[key]

    def close(self) -> None:
        """Nothing stays open."""


def _read(path: Path, limit: int | None) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read() if limit is None else file.read(limit)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror})",
            rule="every picture of a dataset is readable",
            fix="Check the permissions, or remove the file",
        ) from error


def _find_pictures(top: Path) -> list[str]:
    keys, visited = [], set()
    for folder, folders, files in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link that leads back up would be walked for ever
            folders.clear()
            continue
        visited.add(real)
        below = Path(folder).relative_to(top)
        keys += [key for name in files if is_picture(key := (below / name).as_posix())]
        folders.sort()
    return sorted(keys)
