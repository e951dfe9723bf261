"""Parquet shards of images, as the Hugging Face hub serves image datasets.

The image column is a struct of `bytes` and `path`, or plain bytes. A label column is optional: class indices (with
names, if the hub's metadata in the schema contain them), strings, or vectors of numbers.

Row groups are read whole, so reading in random order is slow: `prepare` such a dataset first, or train with the decoded
cache. Needs the extra `parquet`.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stylegen.data.metadata import Label, parse_labels
from stylegen.data.sources.source import Source, stamp_of
from stylegen.errors import UserError, import_extra
from stylegen.files import parse_json

MAX_GROUP_BYTES = 4 * 2**30
_MIN_IMAGE_BYTES = 32  # the smallest PNG has 67

_IMAGE_COLUMNS = ("image", "img", "picture", "png", "jpg", "jpeg", "webp")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "attributes")


class ParquetSource(Source):
    """Images in Parquet shards; a key is shard and row, `train-00000/00000017`.

    Args:
        path: the file, or the folder of the shards.
        shards: the files in order.

    Raises:
        UserError: the package pyarrow is missing; a damaged file; no image column; labels that do not fit.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        super().__init__(path)
        self._shards = list(shards)
        self._files: dict[Path, Any] = {}
        self._group: tuple[Path, int] | None = None
        self._rows: list[Any] = []
        self._owner = os.getpid()
        schema = self._open(self._shards[0]).schema_arrow
        self._column = _image_column(schema, path)
        self._check_rows()
        self._places = {
            f"{shard.stem}/{row:08d}": (shard, group, row - start)
            for shard in self._shards
            for group, start, end in self._groups(shard)
            for row in range(start, end)
        }
        self._keys = list(self._places)
        self._labels = self._read_labels(schema)

    def read(self, key: str, limit: int | None = None) -> bytes:
        shard, group, row = self._places[key]
        if (shard, group) != self._group or self._owner != os.getpid():
            self._rows, self._group = self._read_group(shard, group), (shard, group)
        value = self._rows[row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise UserError(
                f"{self.path}: {key} contains no bytes",
                rule="images must be inside the file, not beside it or on the web",
                fix="Embed them (datasets: embed_external_files=True), or remove the row",
            )
        return data[:limit]

    def stamp(self) -> str:
        """From names, sizes and modification times of the shards."""
        return stamp_of(f"{s.name} {s.stat().st_size} {s.stat().st_mtime_ns}\n" for s in self._shards)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files, self._rows, self._group = {}, [], None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}, "_rows": [], "_group": None}

    def _open(self, shard: Path) -> Any:
        if self._owner != os.getpid():  # a forked process shares the file position
            self._files, self._owner = {}, os.getpid()
        if shard not in self._files:
            parquet = _package("pyarrow.parquet")
            try:
                self._files[shard] = parquet.ParquetFile(shard)
            except _errors() as error:
                raise _broken(shard, error) from error
        return self._files[shard]

    def _check_rows(self) -> None:
        """Refuse implausible numbers of rows: with run-length encoding a few bytes can claim billions."""
        rows = sum(self._open(shard).metadata.num_rows for shard in self._shards)
        size = sum(shard.stat().st_size for shard in self._shards)
        if not 0 <= rows <= size // _MIN_IMAGE_BYTES:
            raise UserError(
                f"{self.path} claims {rows} rows in {size} bytes",
                rule=f"an image has at least {_MIN_IMAGE_BYTES} bytes",
                fix="Give a dataset of images, each in its own row",
            )

    def _groups(self, shard: Path) -> Iterable[tuple[int, int, int]]:
        """Number, first row and end of each row group."""
        file, start = self._open(shard), 0
        if file.schema_arrow.names != self._open(self._shards[0]).schema_arrow.names:
            raise UserError(
                f"{shard} has the columns {file.schema_arrow.names}",
                rule="all shards in a folder must have the same columns",
                fix="Move other files elsewhere",
            )
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            yield group, start, start + rows
            start += rows

    def _read_group(self, shard: Path, group: int) -> Any:
        file = self._open(shard)
        size = file.metadata.row_group(group).total_byte_size
        if size > MAX_GROUP_BYTES:
            raise UserError(
                f"{shard}: row group {group} unpacks to {size // 2**20} MiB",
                rule=f"a row group can have at most {MAX_GROUP_BYTES // 2**20} MiB",
                fix="Write it again with smaller row groups",
            )
        try:
            return file.read_row_group(group, columns=[self._column], use_threads=False).column(0)
        except _errors() as error:
            raise _broken(shard, error) from error

    def _read_labels(self, schema: Any) -> dict[str, Label] | None:
        column = next((name for name in _LABEL_COLUMNS if name in schema.names), None)
        if column is None:
            return None
        values: list[Any] = []
        for shard in self._shards:
            try:
                values += self._open(shard).read(columns=[column], use_threads=False).column(0).to_pylist()
            except _errors() as error:
                raise _broken(shard, error) from error
        if all(value == -1 for value in values):  # the hub's convention for a test set with secret labels
            return None
        names = _class_names(schema, column)
        if values and all(isinstance(value, str) for value in values):
            names = sorted(set(values))
            numbers = {name: number for number, name in enumerate(names)}
            values = [numbers[value] for value in values]
        self.metadata = {
            "labels": [list(pair) for pair in zip(self._places, values, strict=True)],
            **({"class_names": names} if names else {}),
        }
        return parse_labels(self.metadata, self._places, f"{self.path}, column {column}")


def write_parquet(path: Path, images: Iterable[tuple[str, bytes]], labels: Sequence[Any] | None = None) -> None:
    """Write images as the hub serves them, in groups of 100 rows."""
    rows = [{"bytes": data, "path": key} for key, data in images]
    columns = {"image": rows} | ({} if labels is None else {"label": list(labels)})
    _package("pyarrow.parquet").write_table(_package("pyarrow").table(columns), path, row_group_size=100)


def _image_column(schema: Any, path: Path) -> str:
    arrow = _package("pyarrow")

    def fits(kind: Any) -> bool:
        if arrow.types.is_struct(kind):
            return "bytes" in [field.name for field in kind]
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    found = [name for name, kind in zip(schema.names, schema.types, strict=True) if fits(kind)]
    if not found:
        raise UserError(
            f"{path} has the columns {schema.names}",
            rule="one column must contain images: a struct of bytes and path, or bytes",
            fix="Give a dataset of images",
        )
    return next((name for name in _IMAGE_COLUMNS if name in found), str(found[0]))


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Class names from the hub's schema metadata: {"info": {"features": {"label": {"names": [...]}}}}."""
    try:
        note = parse_json((schema.metadata or {})[b"huggingface"])
        names = note["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _errors() -> tuple[type[Exception], ...]:
    """Exceptions of the parser on damaged bytes."""
    kinds = (OSError, ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError)
    return (*kinds, _package("pyarrow").ArrowException)


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} cannot be read ({error})", rule="must be a complete, undamaged Parquet file", fix="Copy it again"
    )


def _package(name: str) -> Any:
    return import_extra(name, "parquet", rule="it reads Parquet datasets")
