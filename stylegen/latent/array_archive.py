""".npz archives with arrays of any length: written in chunks, so that they need not be in memory at once."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from stylegen.data.sources.zip import zip_entry


@dataclass(frozen=True)
class Chunks:
    """An array in parts along its first axis.

    Args:
        shape: [N, ...], of the whole array.
        dtype: the parts' common type.
        parts: arrays, in order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterable[np.ndarray]

    @classmethod
    def of(cls, paths: list[Path]) -> "Chunks":
        """The arrays of .npy files, at least one."""
        first = np.load(paths[0], mmap_mode="r")
        count = sum(len(np.load(path, mmap_mode="r")) for path in paths)
        return cls((count, *first.shape[1:]), first.dtype, (np.load(path, mmap_mode="r") for path in paths))


def write_array(path: Path, array: Chunks) -> None:
    """Write an .npy, not atomically, with one chunk in memory."""
    with path.open("wb") as file:
        _write_chunks(file, array)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray | Chunks]) -> None:
    """Write an uncompressed .npz, not atomically. Equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zip_entry(f"{name}.npy"), "w", force_zip64=True) as file:
                if isinstance(array, Chunks):
                    _write_chunks(cast(BinaryIO, file), array)
                else:
                    np.lib.format.write_array(file, array, allow_pickle=False)


def _write_chunks(file: BinaryIO, array: Chunks) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for part in array.parts:
        file.write(np.ascontiguousarray(part).data.cast("B"))
