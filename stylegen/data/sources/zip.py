"""A zip archive of pictures with `dataset.json`: the layout of NVIDIA's StyleGAN2-ADA and StyleGAN3.

Archives come from strangers: nothing is ever extracted, and names, flags and sizes are checked before the
first byte is read.
"""

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any

from stylegen.data.limits import MAX_NOTE_BYTES, MAX_PICTURE_BYTES
from stylegen.data.prepare.metadata import (
    FILE_NAME,
    PICTURE_SUFFIXES,
    Label,
    dump_metadata,
    is_passed_over,
    is_picture,
    parse_labels,
    parse_metadata,
    stored_digests,
)
from stylegen.errors import UserError
from stylegen.files import replacing

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, LZMAError)


class ZipSource:
    """Keeps the protocol `stylegen.data.sources.source.Source`.

    Args:
        suffixes: of the names of pictures.

    Raises:
        UserError: a broken archive; an encrypted or duplicate member, a link, a path that climbs out of the
            archive; a `dataset.json` that does not fit the pictures. A member that unpacks to more than 256 MiB
            is refused when it is read.
    """

    def __init__(self, path: Path, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        self._owner = 0
        members = self._open().infolist()
        _check_members(members, path)
        self._members = {m.filename: (m.file_size, m.CRC) for m in members if is_picture(m.filename, suffixes)}
        self._keys = sorted(self._members)
        self.passed_over = sorted(m.filename for m in members if is_passed_over(m.filename, suffixes))
        where = f"{path}/{FILE_NAME}"
        has_note = any(member.filename == FILE_NAME for member in members)
        self.metadata: dict[str, Any] = parse_metadata(self._read(FILE_NAME, None), where) if has_note else {}
        self._labels = parse_labels(self.metadata, self._keys, where)

    def keys(self) -> list[str]:
        return list(self._keys)

    def read(self, key: str, limit: int | None = None) -> bytes:
        if key not in self._members:
            raise KeyError(key)
        return self._read(key, limit)

    def stamp(self) -> str:
        """From sizes and checksums in the directory of the archive: it stays when the file is copied."""
        return archive_stamp((key, *self._members[key]) for key in self._keys)

    def digests(self) -> list[str] | None:
        return stored_digests(self.metadata, len(self._keys)) if self.metadata.get("stamp") == self.stamp() else None

    def label(self, key: str) -> Label | None:
        return None if self._labels is None else self._labels[key]

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._archive = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_archive": None}

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None or self._owner != os.getpid():  # a fork shares the position in the file
            try:
                self._archive = zipfile.ZipFile(self.path)
            except _BROKEN as error:
                raise _broken(str(self.path), error) from error
            self._owner = os.getpid()
        return self._archive

    def _read(self, name: str, limit: int | None) -> bytes:
        archive = self._open()
        size = archive.getinfo(name).file_size  # zipfile reads no more than this, whatever is packed
        largest = MAX_NOTE_BYTES if name == FILE_NAME else MAX_PICTURE_BYTES
        if size > largest:
            raise UserError(
                f"{self.path}/{name} unpacks to {size // 2**20} MiB",
                rule=f"at most {largest // 2**20} MiB are read",
                fix="Remove it from the archive",
            )
        try:
            with archive.open(name) as member:
                return member.read() if limit is None else member.read(limit)
        except _BROKEN as error:
            raise _broken(f"{self.path}/{name}", error) from error


def archive_stamp(members: Iterable[tuple[str, int, int]]) -> str:
    """32 hexadecimal digits over name, size and CRC-32 of each picture, in the order of their names."""
    lines = (f"{name} {size} {crc}\n" for name, size, crc in members)
    return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def write_zip(path: Path, pictures: Iterable[tuple[str, bytes]], metadata: dict[str, Any]) -> None:
    """Write encoded pictures and `dataset.json` as an archive that appears whole or not at all.

    The same input gives the same bytes: members are stored, in the order given, dated 1980. Several
    processes may write the same path at once; the last one to finish stays.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for key, data in pictures:
            archive.writestr(zip_entry(key), data)
        archive.writestr(zip_entry(FILE_NAME), dump_metadata(metadata))


def zip_entry(name: str) -> zipfile.ZipInfo:
    """A stored member that depends on its name alone, not on time or machine."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix wherever it is written, or the bytes would depend on the machine
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    twice = [name for name, count in Counter(member.filename for member in members).items() if count > 1]
    if twice:
        raise _unsafe(path, twice[0], "stands in the archive twice", "names in an archive are unique")
    for member in members:
        name = member.filename
        if ".." in PurePosixPath(name).parts or re.match(r"/|[A-Za-z]:", name) or "\\" in member.orig_filename:
            raise _unsafe(path, name, "is not below the top of the archive", "paths are relative, with /")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _unsafe(path, name, "is a symbolic link", "archives hold plain files")
        if member.flag_bits & 0x1:
            raise _unsafe(path, name, "is encrypted", "archives are read without a password")


def _unsafe(path: Path, name: str, problem: str, rule: str) -> UserError:
    return UserError(f"{path}: {name} {problem}", rule=rule, fix="Pack the pictures again as a plain zip")


def _broken(where: str, error: Exception) -> UserError:
    return UserError(
        f"{where} cannot be read ({error})",
        rule="the archive is a complete, undamaged zip file",
        fix="Copy or pack it again",
    )
