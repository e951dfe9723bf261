"""Tensors in files of `torch.save`: the zip archive, and the format before torch 1.6, which pickled modules still nest.

Both hold a pickle that refers to storages by persistent id, and the storages as raw bytes. The pickle goes through
`safe_pickle.Machine`. `torch.load(weights_only=True)` would do for plain state dicts, but it refuses the
`argparse.Namespace` in rosinality's checkpoints, limits neither sizes nor nesting, and cannot read a module's pickle.
"""

import io
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import torch
from torch import Tensor

from stylegen.checkpoints.pickle_data import Budget, ByteReader, Global, Refused
from stylegen.checkpoints.safe_pickle import Machine, Table

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of the older format: a number
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MAX_DIMENSIONS = 8
_MAX_COUNT = 2**48  # values of a storage, or along an axis
_MAX_ENTRIES = 100_000
_MAX_DIRECTORY = 2**24  # bytes of the list of entries
_MAX_PICKLE = 2**28  # bytes of data.pkl, which holds names only


def _no_call(budget: Budget, *args: Any) -> Any:
    raise Refused("it calls the type of a storage")


STORAGE_TYPES: Table = {("torch", name): _no_call for name in _DTYPES}


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """The one-dimensional memory of tensors."""

    data: Tensor


def read_legacy(reader: ByteReader, table: Table, budget: Budget) -> Any:
    """The value of a file in the format before torch 1.6: five pickles, then the storages' bytes."""
    storages: dict[str, Storage] = {}
    declared = 0

    def make(key: str, dtype: torch.dtype, count: int) -> Storage:
        nonlocal declared
        declared += count * dtype.itemsize
        if declared > reader.left:
            raise Refused("it is truncated or damaged: it declares more weights than it holds")
        storages[key] = Storage(_allocate(dtype, count, budget))
        return storages[key]

    if reader.read(len(MAGIC)) != MAGIC or Machine(reader, {}, budget).run() != _PROTOCOL:
        raise Refused("its tensors are not in a format of torch.save")
    system = Machine(reader, {}, budget).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("its tensors are not little-endian")
    value = Machine(reader, table, budget, _loader(storages, make)).run()
    keys = Machine(reader, {}, budget).run()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Refused("its list of storages is damaged")
    if len(keys) != len(storages) or set(keys) != storages.keys():  # sorting would compare texts, of any length
        raise Refused("its list of storages does not match its tensors")
    for key in keys:
        data = storages[key].data
        if int.from_bytes(reader.read(8), "little") != len(data):
            raise Refused(f"storage {key[:20]} has another size than declared")
        reader.read_into(_bytes_of(data))
    return value


def read_storage(budget: Budget, data: Any) -> Storage:
    """In place of `torch.storage._load_from_bytes`, which opens `data` with the unrestricted pickle module."""
    if not isinstance(data, bytes):  # torch writes no bytearray, which the next line would copy each time
        raise Refused("the data of a storage are not bytes")
    value = read_legacy(ByteReader(io.BytesIO(data), len(data)), STORAGE_TYPES, budget)
    if not isinstance(value, Storage):
        raise Refused("the data of a storage hold something else")
    return value


def read_zip(stream: IO[bytes], table: Table, budget: Budget) -> Any:
    """The value of a zip archive of torch.save."""
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # before the library reads all entries into memory
    if end is None or end[zipfile._ECD_SIZE] > _MAX_DIRECTORY:  # type: ignore[attr-defined]
        raise Refused("its archive is truncated, or has too many entries")
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(names) > _MAX_ENTRIES or len(set(names)) != len(names):
            raise Refused("its archive has too many or repeated entries")
        roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(roots) != 1 or f"{roots[0]}constants.pkl" in names:
            raise Refused("it is a zip archive, but not one of torch.save with a state dict")
        root = roots[0]
        if f"{root}byteorder" in names and archive.read(_stored(archive, f"{root}byteorder", 16)) != b"little":
            raise Refused("its tensors are not little-endian")
        storages: dict[str, Storage] = {}

        def make(key: str, dtype: torch.dtype, count: int) -> Storage:
            entry = _stored(archive, f"{root}data/{key}", count * dtype.itemsize)
            if entry.file_size != count * dtype.itemsize:
                raise Refused(f"storage {key[:20]} has another size than declared")
            storages[key] = Storage(_allocate(dtype, count, budget))
            with archive.open(entry) as file:
                ByteReader(file, entry.file_size).read_into(_bytes_of(storages[key].data))
                if file.read(1):  # also verifies the checksum
                    raise Refused(f"storage {key[:20]} is longer than declared")
            return storages[key]

        entry = _stored(archive, f"{root}data.pkl", _MAX_PICKLE)
        with archive.open(entry) as file:
            return Machine(ByteReader(file, entry.file_size), table, budget, _loader(storages, make)).run()


def _stored(archive: zipfile.ZipFile, name: str, limit: int) -> zipfile.ZipInfo:
    """An uncompressed entry of at most `limit` bytes."""
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise Refused(f"its archive lacks {name[:80]}") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size != entry.compress_size:
        raise Refused("its archive is compressed or encrypted, which torch.save does not do")
    if entry.file_size > limit:
        raise Refused(f"{name[:80]} in its archive is too large")
    return entry


def _loader(storages: dict[str, Storage], make: Callable[[str, torch.dtype, int], Storage]) -> Callable[[Any], Storage]:
    """Function of a persistent id ("storage", type, key, device, number of values[, None]) -> its storage."""

    def load(identity: Any) -> Storage:
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise Refused("it refers to data that is not the storage of a tensor")
        kind, key, _, count = identity[1:5]
        if (
            not isinstance(kind, Global)
            or kind.module != "torch"
            or kind.name not in _DTYPES
            or identity[5:] not in ((), (None,))
        ):
            raise Refused("a storage has an unknown type")
        if not isinstance(key, str) or type(count) is not int or not 0 <= count < _MAX_COUNT:
            raise Refused("a storage has no key or size")
        if key not in storages:
            return make(key, _DTYPES[kind.name], count)
        if storages[key].data.dtype != _DTYPES[kind.name] or len(storages[key].data) != count:
            raise Refused(f"storage {key[:20]} is declared twice, differently")
        return storages[key]

    return load


def _allocate(dtype: torch.dtype, count: int, budget: Budget) -> Tensor:
    budget.take_storage(count * dtype.itemsize)
    return torch.empty(count, dtype=dtype)


def _bytes_of(data: Tensor) -> memoryview:
    if sys.byteorder != "little":
        raise Refused("this machine is not little-endian")
    return data.view(torch.uint8).numpy().data if len(data) else memoryview(b"")


def rebuild_tensor(budget: Budget, storage: Any, offset: Any, size: Any, stride: Any, *others: Any) -> Tensor:
    """In place of `torch._utils._rebuild_tensor_v2`: a view inside of the storage, without repetition."""
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise Refused("a tensor has no storage or shape")
    numbers = (offset, *size, *stride)
    if (
        len(size) != len(stride)
        or len(size) > MAX_DIMENSIONS
        or any(type(n) is not int or not 0 <= n < _MAX_COUNT for n in numbers)
    ):
        raise Refused("a tensor has an impossible shape")
    count = 1
    for length in size:
        count *= length
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) if count else 0
    if count > len(storage.data) or last >= max(len(storage.data), 1):
        raise Refused(f"a tensor of shape {list(size)} exceeds its storage of {len(storage.data)} values")
    budget.take_view(count * storage.data.dtype.itemsize)
    return torch.as_strided(storage.data, size, stride, offset)
