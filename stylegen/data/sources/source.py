"""Sources of images: encoded bytes by key, labels, and metadata.

A source does not decode; `dataset.py` does. A new kind of source is one file with a class that implements this
protocol, and one line in `open_source`.
"""

from pathlib import Path
from typing import Any, Protocol

from stylegen.data.metadata import Label
from stylegen.data.sources.folder import FolderSource
from stylegen.data.sources.formats import IMAGE_SUFFIXES
from stylegen.data.sources.lmdb import LmdbSource
from stylegen.data.sources.parquet import ParquetSource
from stylegen.data.sources.zip import ZipSource
from stylegen.errors import UserError


class Source(Protocol):
    """A collection of encoded images.

    Sources pickle without their open files and reopen them where needed: in each worker and after a fork.

    Attributes:
        path: of the collection.
        metadata: the content of `dataset.json`, or {}.
        unread: image files in formats that are not read, such as .gif.
    """

    path: Path
    metadata: dict[str, Any]
    unread: list[str]

    def keys(self) -> list[str]:
        """Paths of the images below the top of the collection, with `/`; sorted, or in stored order."""

    def read(self, key: str, limit: int | None = None) -> bytes:
        """The encoded image, or its first `limit` bytes.

        Raises:
            KeyError: no such key.
            UserError: the bytes cannot be read.
        """

    def label(self, key: str) -> Label | None:
        """Class index or vector of this image; None if the collection has no labels."""

    def stamp(self) -> str:
        """32 hexadecimal digits that change with the images, computed without reading them."""

    def digests(self) -> list[str] | None:
        """The recorded `image_digest` of each image, in the order of the keys; None without, or if the images have
        changed since. The reader verifies each image against its digest.
        """

    def close(self) -> None:
        """Close open files; a later `read` reopens them."""


def open_source(path: str | Path, setting: str = "data.path", suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> Source:
    """Opens a folder of images or of Parquet shards, a .zip, an .lmdb, or a .parquet file.

    Args:
        setting: name of the setting with the path, for errors.
        suffixes: of image files in a folder or zip.

    Raises:
        UserError: no such path, or another kind of file; a damaged archive; labels that do not fit; the package of an
            extra is missing.
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
    problem = "is not a folder, .zip, .lmdb or .parquet file" if place.exists() else "does not exist"
    raise UserError(
        f"{setting}={path} {problem}",
        rule="a dataset is a folder, .zip, .lmdb or .parquet of images, or the word openmoji",
        fix="Give the path of one of these",
    )
