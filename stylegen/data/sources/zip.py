"""A zip archive of images with `dataset.json`: the layout of NVIDIA's StyleGAN2-ADA and StyleGAN3.

Archives may come from untrusted sources: nothing is extracted to disk, and names, flags and sizes are checked before
anything is read.
"""

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

from stylegen.data.metadata import FILE_NAME, dump_metadata, stored_digests
from stylegen.data.sources.formats import IMAGE_SUFFIXES, MAX_IMAGE_BYTES, MAX_METADATA_BYTES, is_image, is_unread_image
from stylegen.data.sources.source import Source, stamp_of
from stylegen.errors import UserError
from stylegen.files import replacing

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, LZMAError)


class ZipSource(Source):
    """Images in a zip archive.

    Args:
        suffixes: endings of image files, such as ".png".

    Raises:
        UserError: a damaged archive; an encrypted or duplicate member, a link, a path that leads out of the archive; a
            `dataset.json` that does not fit the images. `read` refuses a member that unpacks to more than 256 MiB.
    """

    def __init__(self, path: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> None:
        super().__init__(path)
        self._archive: zipfile.ZipFile | None = None
        self._owner = 0
        members = self._open().infolist()
        _check_members(members, path)
        self._members = {m.filename: (m.file_size, m.CRC) for m in members if is_image(m.filename, suffixes)}
        self._keys = sorted(self._members)
        self.unread = sorted(m.filename for m in members if is_unread_image(m.filename, suffixes))
        if any(member.filename == FILE_NAME for member in members):
            self._parse_note(self._read(FILE_NAME, None))

    def read(self, key: str, limit: int | None = None) -> bytes:
        if key not in self._members:
            raise KeyError(key)
        return self._read(key, limit)

    def stamp(self) -> str:
        """From sizes and checksums in the archive's directory, so copying the file does not change it."""
        return archive_stamp((key, *self._members[key]) for key in self._keys)

    def digests(self) -> list[str] | None:
        return stored_digests(self.metadata, len(self._keys)) if self.metadata.get("stamp") == self.stamp() else None

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._archive = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_archive": None}

    def _open(self) -> zipfile.ZipFile:
        if self._archive is None or self._owner != os.getpid():  # a forked process shares the file position
            try:
                self._archive = zipfile.ZipFile(self.path)
            except _BROKEN as error:
                raise _broken(str(self.path), error) from error
            self._owner = os.getpid()
        return self._archive

    def _read(self, name: str, limit: int | None) -> bytes:
        archive = self._open()
        size = archive.getinfo(name).file_size  # zipfile reads at most this
        largest = MAX_METADATA_BYTES if name == FILE_NAME else MAX_IMAGE_BYTES
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
    """32 hexadecimal digits: hash of name, size and CRC-32 of each image, sorted by name."""
    return stamp_of(f"{name} {size} {crc}\n" for name, size, crc in members)


def write_zip(path: Path, images: Iterable[tuple[str, bytes]], metadata: dict[str, Any]) -> None:
    """Write encoded images and `dataset.json` as an archive, atomically (see `replacing`).

    Equal input gives equal bytes: members are stored uncompressed in the given order, dated 1980.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for key, data in images:
            archive.writestr(zip_entry(key), data)
        archive.writestr(zip_entry(FILE_NAME), dump_metadata(metadata))


def zip_entry(name: str) -> zipfile.ZipInfo:
    """An uncompressed member with a header that depends on its name only, not on time or machine."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix; by default it depends on the machine
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    twice = [name for name, count in Counter(member.filename for member in members).items() if count > 1]
    if twice:
        raise _unsafe(path, twice[0], "is in the archive twice", "names in an archive are unique")
    for member in members:
        name = member.filename
        if ".." in PurePosixPath(name).parts or re.match(r"/|[A-Za-z]:", name) or "\\" in member.orig_filename:
            raise _unsafe(path, name, "is not below the top of the archive", "paths are relative, with /")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _unsafe(path, name, "is a symbolic link", "archives contain plain files")
        if member.flag_bits & 0x1:
            raise _unsafe(path, name, "is encrypted", "archives are read without a password")


def _unsafe(path: Path, name: str, problem: str, rule: str) -> UserError:
    return UserError(f"{path}: {name} {problem}", rule=rule, fix="Pack the images again as a plain zip")


def _broken(where: str, error: Exception) -> UserError:
    return UserError(
        f"{where} cannot be read ({error})",
        rule="the archive must be a complete, undamaged zip file",
        fix="Copy or pack it again",
    )
