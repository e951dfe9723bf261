"""Base class of the sources of images."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stylegen.data.metadata import FILE_NAME, Label, parse_labels, parse_metadata


class Source(ABC):
    """A collection of encoded images; `stylegen.data.decoding` decodes them.

    Sources pickle without their open files and reopen them where needed: in each worker and after a fork.

    Attributes:
        path: its folder or file.
        metadata: the content of `dataset.json`, or {}.
        unread: image files in formats that are not read, such as .gif.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {}
        self.unread: list[str] = []
        self._keys: list[str] = []
        self._labels: dict[str, Label] | None = None

    def keys(self) -> list[str]:
        """Paths of the images below the top of the collection, with `/`; sorted, or in stored order."""
        return list(self._keys)

    @abstractmethod
    def read(self, key: str, limit: int | None = None) -> bytes:
        """The encoded image, or its first `limit` bytes.

        Raises:
            KeyError: no such key.
            UserError: the bytes cannot be read.
        """

    def label(self, key: str) -> Label | None:
        """Class index or vector of this image; None if the collection has no labels."""
        return None if self._labels is None else self._labels[key]

    @abstractmethod
    def stamp(self) -> str:
        """32 hexadecimal digits that change with the images, computed without reading them."""

    def digests(self) -> list[str] | None:
        """The recorded `image_digest` of each image, in the order of the keys; None if there are none, or if the
        images have changed since. The reader verifies each image against its digest.
        """
        return None

    def close(self) -> None:  # noqa: B027
        """Close open files; a later `read` reopens them."""

    def _parse_note(self, text: bytes) -> None:
        """Take metadata and labels from the content of `dataset.json`."""
        where = str(self.path / FILE_NAME)
        self.metadata = parse_metadata(text, where)
        self._labels = parse_labels(self.metadata, self._keys, where)


def stamp_of(lines: Iterable[str]) -> str:
    """32 hexadecimal digits: hash of the lines."""
    return hashlib.blake2b("".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
