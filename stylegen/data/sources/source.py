"""Sources: where pictures lie. Bytes by key, a label for each, and what is known about the whole.

A source knows nothing of pixels; `dataset.py` decodes. A new kind of source is one file with a class that
keeps this protocol, and one line in `open_source`.
"""

from pathlib import Path
from typing import Any, Protocol

from stylegen.data.prepare.metadata import PICTURE_SUFFIXES, Label
from stylegen.data.sources.folder import FolderSource
from stylegen.data.sources.lmdb import LmdbSource
from stylegen.data.sources.parquet import ParquetSource
from stylegen.data.sources.zip import ZipSource
from stylegen.errors import UserError


class Source(Protocol):
    """A collection of encoded pictures.

    A source pickles without its open handles, and opens them again where it is used: in each worker, and
    after a fork.

    Attributes:
        path: where the collection lies.
        metadata: the contents of `dataset.json`, or {}.
        passed_over: files that are taken for pictures, in formats that are not read, such as .gif.
    """

    path: Path
    metadata: dict[str, Any]
    passed_over: list[str]

    def keys(self) -> list[str]:
        """Paths of the pictures below the top of the collection, with `/`; sorted, or in the stored order."""

    def read(self, key: str, limit: int | None = None) -> bytes:
        """The encoded picture, or its first `limit` bytes.

        Raises:
            KeyError: no such key.
            UserError: the bytes cannot be read.
        """

    def label(self, key: str) -> Label | None:
        """Class index or vector of this picture; None when the collection has no labels."""

    def stamp(self) -> str:
        """32 hexadecimal digits that change with the pictures, found without reading them."""

    def digests(self) -> list[str] | None:
        """What the collection says of the pixels of each picture (see `stylegen.data.fingerprint`), in the order of the
        keys; None where it says nothing, or was edited since. To be verified with each picture that is read.
        """

    def close(self) -> None:
        """Close open files; a later `read` opens them again."""


def open_source(path: str | Path, setting: str = "data.path", suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> Source:
    """The source at `path`: a folder of pictures or of Parquet shards, a .zip, an .lmdb, or a .parquet file.

    Args:
        setting: which setting the path comes from, for errors.
        suffixes: of the names of pictures in a folder or zip.

    Raises:
        UserError: nothing there, or nothing that is known; a broken archive; labels that do not fit; the
            package of an extra is missing.
    """
    place = Path(path).expanduser()
    suffix = place.suffix.lower()
    if place.is_dir() and (place / "data.mdb").is_file():
        return LmdbSource(place)
    if place.is_dir():
        folder = FolderSource(place, suffixes)
        shards = [] if folder.keys() else sorted(place.glob("*.parquet"))
        return ParquetSource(place, shards) if shards else folder
    if place.is_file() and suffix == ".zip":
        return ZipSource(place, suffixes)
    if place.is_file() and suffix == ".lmdb":
        return LmdbSource(place)
    if place.is_file() and suffix == ".parquet":
        return ParquetSource(place, [place])
    problem = "is no folder, .zip, .lmdb or .parquet file" if place.exists() else "does not exist"
    raise UserError(
        f"{setting}={path} {problem}",
        rule="a dataset is a folder of pictures, a .zip, .lmdb or .parquet of pictures, or the word openmoji",
        fix="Give the path of one of these",
    )
