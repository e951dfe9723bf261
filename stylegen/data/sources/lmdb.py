"""An LMDB of images: one file that many processes read at once through LMDB's memory map.

LMDB has no common layout for images, so this one is our own. Keys, in order:

    dataset.json      the metadata, as in a zip (see `stylegen.data.metadata`)
    image/00000000    the encoded images, numbered in order
    names             JSON list of their names, ["00000/img00000000.png", ...]; LMDB's keys are limited to 511 bytes
    stylegen          the format, b"stylegen pictures 1"

Needs the extra `lmdb`.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stylegen.data.metadata import FILE_NAME, dump_metadata, stored_digests
from stylegen.data.sources.formats import MAX_METADATA_BYTES
from stylegen.data.sources.lmdb_check import find_damage
from stylegen.data.sources.source import Source, stamp_of
from stylegen.errors import UserError, import_extra
from stylegen.files import parse_json, replacing

FORMAT = b"stylegen pictures 1"  # do not rename: part of the file format

_COMMIT_EVERY = 1024  # images; their pages are kept in memory until then
_PAGE = 4096

_opened: dict[tuple[int, str], list[Any]] = {}
"""Environment and number of users by process and file: LMDB forbids opening a file twice in one process."""


class LmdbSource(Source):
    """Images in an LMDB.

    Raises:
        UserError: the package lmdb is missing; a damaged file, or one not written by stylegen; metadata that do not fit
            the images.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._environment: Any = None
        self._owner = 0
        try:
            self._read_notes()
        except BaseException:
            self.close()
            raise

    def _read_notes(self) -> None:
        if self._find(b"stylegen") != FORMAT:
            raise UserError(
                f"{self.path} was not written by stylegen",
                rule="an LMDB has no common layout, so only stylegen's own is read",
                fix="Unpack it into a folder with its own tool, then run python -m stylegen prepare on the folder",
            )
        self._keys = self._names()
        self._numbers = {name: number for number, name in enumerate(self._keys)}
        self._parse_note(self._note(FILE_NAME.encode()))

    def read(self, key: str, limit: int | None = None) -> bytes:
        return self._get(_image_key(self._numbers[key]))[:limit]

    def stamp(self) -> str:
        """From size and modification time of the file."""
        status = _file(self.path).stat()
        return stamp_of([f"{status.st_size} {status.st_mtime_ns}"])

    def digests(self) -> list[str] | None:
        return stored_digests(self.metadata, len(self._keys))

    def close(self) -> None:
        if self._environment is not None:
            _close(self._owner, self.path)
        self._environment = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_environment": None}

    def _names(self) -> list[str]:
        try:
            names = parse_json(self._note(b"names"))
        except ValueError as error:
            raise _broken(self.path, f"its names are damaged: {error}") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _broken(self.path, "its names are not a list of strings")
        if len(set(names)) < len(names):
            raise _broken(self.path, "two of its images have the same name")
        return names

    def _note(self, key: bytes) -> bytes:
        text = self._get(key)
        if len(text) > MAX_METADATA_BYTES:
            raise _broken(
                self.path, f"{key.decode()} has {len(text) // 2**20} MiB, more than {MAX_METADATA_BYTES // 2**20} MiB"
            )
        return text

    def _get(self, key: bytes) -> bytes:
        value = self._find(key)
        if value is None:
            raise _broken(self.path, f"{key.decode()} is missing")
        return value

    def _find(self, key: bytes) -> bytes | None:
        if self._environment is None or self._owner != os.getpid():  # LMDB's handles are not valid after a fork
            self._environment, self._owner = _open(self.path), os.getpid()
        try:
            with self._environment.begin() as transaction:
                value = transaction.get(key)
        except package().Error as error:
            raise _broken(self.path, error) from error
        return None if value is None else bytes(value)


def write_lmdb(path: Path, images: Iterable[tuple[str, bytes]], metadata: dict[str, Any], size: int) -> None:
    """Write encoded images as an LMDB, atomically; equal input gives equal bytes.

    Args:
        path: written by one process at a time; see `replacing`.
        images: name and content of each file.
        size: an upper bound of the size of all images, in bytes.
    """
    note = dump_metadata(metadata)
    # Each image starts a page, and the tree takes a few percent. Only used pages are written.
    labels = metadata.get("labels") or []
    room = 2 * size + 4 * len(note) + 16 * _PAGE * (len(labels) + 1024)
    with replacing(path, durable=True, locked=True) as partial:
        environment = package().open(str(partial), subdir=False, map_size=room, lock=False, sync=False, mode=0o666)
        try:
            _fill(environment, images, note)
        finally:
            environment.close()


def _fill(environment: Any, images: Iterable[tuple[str, bytes]], note: bytes) -> None:
    names: list[str] = []
    transaction = environment.begin(write=True)
    transaction.put(FILE_NAME.encode(), note, append=True)
    for key, data in images:
        if len(names) % _COMMIT_EVERY == _COMMIT_EVERY - 1:
            transaction.commit()
            transaction = environment.begin(write=True)
        transaction.put(_image_key(len(names)), data, append=True)
        names.append(key)
    transaction.put(b"names", json.dumps(names, ensure_ascii=False).encode(), append=True)
    transaction.put(b"stylegen", FORMAT, append=True)
    transaction.commit()


def _image_key(number: int) -> bytes:
    return b"image/%08d" % number


def _file(path: Path) -> Path:
    return path / "data.mdb" if path.is_dir() else path


def _open(path: Path) -> Any:
    key = (os.getpid(), os.path.realpath(path))
    if key not in _opened:
        lmdb = package()
        for other in [other for other in _opened if other[0] != key[0]]:
            _opened.pop(other)[0].close()  # inherited through a fork: counts as open, but must not be used
        try:
            damage = find_damage(_file(path))
        except OSError as error:
            raise _broken(path, error.strerror or error) from error
        if damage is not None:
            raise _broken(path, damage)
        try:
            environment = lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise _broken(path, error) from error
        _opened[key] = [environment, 0]
    _opened[key][1] += 1
    return _opened[key][0]


def _close(owner: int, path: Path) -> None:
    key = (owner, os.path.realpath(path))
    if owner != os.getpid() or key not in _opened:
        return
    _opened[key][1] -= 1
    if _opened[key][1] == 0:
        _opened.pop(key)[0].close()


def _broken(path: Path, error: object) -> UserError:
    return UserError(
        f"{path} cannot be read ({error})", rule="must be a complete, undamaged LMDB", fix="Copy or prepare it again"
    )


def package() -> Any:
    """The package lmdb; raises UserError if it is not installed."""
    return import_extra("lmdb", "lmdb", rule="it reads and writes LMDB datasets", otherwise=", or use a zip")
