"""Sources: where pictures lie. Bytes by key, a label for each, and what is known about the whole.

A source knows nothing of pixels; `dataset.py` decodes. A new kind of source is one file with a class that
keeps this protocol, and one line in `open_source`.
"""

from pathlib import Path
from typing import Any, Protocol

from stylegen.data.folder import FolderSource
from stylegen.data.metadata import Label
from stylegen.data.zip import ZipSource
from stylegen.errors import UserError


class Source(Protocol):
    """A collection of encoded pictures.

    A source pickles without its open handles, and opens them again where it is used: in each worker, and
    after a fork.

    Attributes:
        path: where the collection lies.
        metadata: the contents of `dataset.json`, or {}.
    """

    path: Path
    metadata: dict[str, Any]

    def keys(self) -> list[str]:
        """Paths of the pictures below the top of the collection, with `/`, sorted."""

    def read(self, key: str, limit: int | None = None) -> bytes:
        """The encoded picture, or its first `limit` bytes.

        Raises:
            KeyError: no such key.
            UserError: the bytes cannot be read.
        """

    def label(self, key: str) -> Label | None:
        """Class index or vector of this picture; None when the collection has no labels."""

    def close(self) -> None:
        """Close open files; a later `read` opens them again."""


def open_source(path: str | Path) -> Source:
    """The source at `path`: a folder of pictures, or a zip archive.

    Raises:
        UserError: nothing there, or nothing that is known; a broken archive; labels that do not fit.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return FolderSource(place)
    if place.suffix.lower() == ".zip" and place.is_file():
        return ZipSource(place)
    problem = "is no folder and no zip file" if place.exists() else "does not exist"
    raise UserError(
        f"data.path={path} {problem}",
        rule="a dataset is a folder of pictures, a .zip of pictures, or the word openmoji",
        fix="Give the path of one of these",
    )
