"""Disk cache for statistics of real images.

An entry is an .npz file without pickled objects, which also holds its full key: pixels (fingerprint), extractor,
weights, protocol. A damaged file, or a file with another key, is ignored and overwritten.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from stylegen.files import cache_folder, replacing

_LOG = logging.getLogger(__name__)
_KEY = "key"

Key = Mapping[str, str | int]


def default_folder() -> Path:
    """`metrics` in the user's cache folder."""
    return cache_folder() / "metrics"


class StatisticsCache:
    """Stores named arrays on disk by key. Concurrent writers are safe: files are replaced atomically.

    Args:
        folder: None disables the cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, key: Key) -> Path | None:
        """The file for this key; None without a folder."""
        if self.folder is None:
            return None
        digest = hashlib.blake2b(_encode(key).encode(), digest_size=12).hexdigest()
        return self.folder / f"{key['extractor']}-{key['kind']}-{digest}.npz"

    def load(self, key: Key) -> dict[str, np.ndarray] | None:
        """The arrays stored under this key, or None."""
        path = self.path(key)
        if path is None or not path.is_file():
            return None
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            _LOG.warning("%s is damaged (%s); it will be recomputed", path, error)
            return None
        if str(arrays.pop(_KEY, "")) != _describe(key, arrays):
            return None
        return arrays

    def store(self, key: Key, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the arrays; only warns if the folder is not writable."""
        path = self.path(key)
        if path is None:
            return
        try:
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, **{_KEY: np.array(_describe(key, arrays))}, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            _LOG.warning("could not cache statistics: %s", error)


def _describe(key: Key, arrays: Iterable[str]) -> str:
    """The key, and the names of the arrays, because a damaged archive can lose one."""
    return f"{_encode(key)} {sorted(arrays)}"


def _encode(key: Key) -> str:
    return json.dumps(dict(key), sort_keys=True)
