"""Statistics of real pictures on disk, so that they are computed once for a dataset.

One entry is one .npz without pickled objects, which also holds the full key that it answers: pixels
(fingerprint), extractor, weights, protocol. A file that is damaged, or answers another key, is as good as
none and is written anew.
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
    """Arrays by key, in a folder. Writers may run at the same time: files appear whole, the last one stays.

    Args:
        folder: where the files are; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, key: Key) -> Path | None:
        """The file that answers this key; None without a folder."""
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
            _LOG.warning("%s is damaged (%s); it will be computed anew", path, error)
            return None
        if str(arrays.pop(_KEY, "")) != _describe(key, arrays):
            return None
        return arrays

    def store(self, key: Key, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays; a folder that cannot be written costs the next run its time, not this run its score."""
        path = self.path(key)
        if path is None:
            return
        try:
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, **{_KEY: np.array(_describe(key, arrays))}, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            _LOG.warning("statistics are not kept: %s", error)


def _describe(key: Key, arrays: Iterable[str]) -> str:
    """What an entry says of itself: the key, and which arrays it holds, for an archive can lose one."""
    return f"{_encode(key)} {sorted(arrays)}"


def _encode(key: Key) -> str:
    return json.dumps(dict(key), sort_keys=True)
