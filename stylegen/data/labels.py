"""Where `prepare` finds labels: in the source, in the names of sub-folders, in a CSV, or in a JSON file."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stylegen.data.limits import MAX_NOTE_BYTES
from stylegen.data.prepare.metadata import Label, parse_labels
from stylegen.data.sources.source import Source
from stylegen.errors import UserError, unknown_choice
from stylegen.files import parse_json

_MAX_DIGITS = 18
SEPARATOR = "|"  # between several classes of one picture, in a cell of a CSV


class Labels(NamedTuple):
    """The label of each picture, or None; and the names of the classes, or of the entries of the vectors."""

    of: dict[str, Label] | None
    names: list[str] | None


def find_labels(choice: str, source: Source) -> Labels:
    """The labels that `choice` names, one for each picture of the source.

    Args:
        choice: "auto", those that the source carries, if any; "none"; "folders", the first folder of each path is
            the class; or a .csv or .json file.

            A CSV has one line a picture: its path below the source, then one column (a class index, a class name,
            or several names with ``|``), or several columns of numbers (attributes). A first line whose first cell
            is no picture, but "file" or the like, names the columns.
            A JSON file is laid out like `dataset.json`, or is one object ``{file: label}``; a label is an index, a
            name, a list of names, or a list of numbers.

    Raises:
        UserError: labels that name files that do not exist, name one twice, or leave some out; several kinds of
            labels; a file that cannot be read.
    """
    keys = source.keys()
    if choice == "none":
        return Labels(None, None)
    if choice == "auto":
        of = {key: label for key in keys if (label := source.label(key)) is not None}
        return Labels(of or None, _names(source.metadata.get("class_names"))) if of else Labels(None, None)
    if choice == "folders":
        return _settle([[key, _top_folder(key)] for key in keys], keys, "labels=folders", None)
    path = Path(choice).expanduser()
    if path.suffix.lower() not in (".csv", ".json"):
        raise unknown_choice("labels", choice, ("auto", "none", "folders", "FILE.csv", "FILE.json"))
    try:
        size = path.stat().st_size
        if size > MAX_NOTE_BYTES or not path.is_file():
            raise OSError(0, f"{size // 2**20} MiB, more than {MAX_NOTE_BYTES // 2**20}" if size else "no regular file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UserError(
            f"labels={path} cannot be read ({reason})", rule="it is a text file in UTF-8", fix="Give another file"
        ) from error
    if path.suffix.lower() == ".csv":
        return _from_csv(text, keys, str(path))
    return _from_json(text, keys, str(path))


def _top_folder(key: str) -> str:
    folder, slash, _ = key.partition("/")
    if not slash:
        raise UserError(
            f"labels=folders, but {key} lies in no sub-folder",
            rule="the first folder of each path is the class",
            fix="Move it into a folder, or label in another way",
        )
    return folder


def _from_csv(text: str, keys: list[str], where: str) -> Labels:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:  # as a quote that is never closed
        raise UserError(f"{where} cannot be read ({error})", rule="it is a CSV", fix="Mend it") from error
    known = set(keys)
    header = rows.pop(0) if rows and rows[0][0] not in known and rows[0][0].lower() in _HEADINGS else None
    width = len(rows[0]) if rows else 2
    odd = next((row for row in rows if len(row) != width or width < 2), None)
    if odd is not None:
        raise UserError(
            f"{where}: the line {','.join(odd)!r:.80} has {len(odd)} column(s)",
            rule="all lines have the same columns, two at least: the file, and its class or attributes",
            fix="Mend it",
        )
    if width == 2:
        return _settle([[key, cell] for key, cell in _parse_cells(rows, where)], keys, where, None)
    try:
        pairs = [[row[0], [float(cell) for cell in row[1:]]] for row in rows]
    except ValueError as error:
        raise UserError(f"{where}: {error}", rule="several columns are numbers (attributes)", fix="Mend it") from error
    return _settle(pairs, keys, where, header[1:] if header else None)


def _parse_cells(rows: list[list[str]], where: str) -> list[tuple[str, int | str | list[str]]]:
    """The only column of labels: several names in each line if any line has several, else indices or names."""
    rows = [[key, cell.strip()] for key, cell in rows]
    if any(SEPARATOR in cell for _, cell in rows):
        return [(key, [name for name in map(str.strip, cell.split(SEPARATOR)) if name]) for key, cell in rows]
    if empty := next((key for key, cell in rows if not cell), None):
        raise UserError(f"{where} has no label for {empty}", rule="each picture has a class", fix="Add it")
    if all(cell.isdecimal() for _, cell in rows):
        if long := next((cell for _, cell in rows if len(cell) > _MAX_DIGITS), None):
            raise UserError(
                f"{where} holds the class {long[:_MAX_DIGITS]}... of {len(long)} digits",
                rule="classes are numbers from 0, or names",
                fix="Number them anew",
            )
        return [(key, int(cell)) for key, cell in rows]
    return [(key, cell) for key, cell in rows]


_HEADINGS = ("", "file", "filename", "file_name", "name", "path", "image", "image_id", "picture", "key", "id")


def _from_json(text: str, keys: list[str], where: str) -> Labels:
    try:
        note = parse_json(text, object_pairs_hook=_object)
    except ValueError as error:
        raise UserError(f"{where} cannot be read ({error})", rule="it is JSON", fix="Mend it") from error
    if not isinstance(note, dict):
        raise UserError(f"{where} holds a {type(note).__name__}", rule="it holds one JSON object", fix="Mend it")
    if isinstance(note.get("labels"), list):
        return _settle(note["labels"], keys, where, _names(note.get("class_names")))
    return _settle([[key, label] for key, label in note.items()], keys, where, None)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys are unique; of several alike, `json` would silently keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice} stands in it twice")
    return found


def _settle(pairs: list[Any], keys: Sequence[str], where: str, names: list[str] | None) -> Labels:
    """Names to indices, lists of names to 0 and 1 for each class; then the checks that all labels pass."""
    if odd := [pair for pair in pairs if not (isinstance(pair, list) and len(pair) == 2)]:
        return Labels(parse_labels({"labels": odd}, keys, where), None)  # refuses them
    entries = [entry for _, entry in pairs]
    if entries and all(isinstance(entry, str) for entry in entries):
        names = names or sorted(set(entries))
        numbers = _numbers(names, entries, where)
        pairs = [[key, numbers[entry]] for key, entry in pairs]
    elif entries and all(isinstance(entry, list) and all(isinstance(e, str) for e in entry) for entry in entries):
        classes = [name for entry in entries for name in entry]
        names = names or sorted(set(classes))
        _numbers(names, classes, where)
        pairs = [[key, [float(name in entry) for name in names]] for key, entry in pairs]
    return Labels(parse_labels({"labels": pairs}, keys, where), names)


def _numbers(names: list[str], used: Iterable[str], where: str) -> dict[str, int]:
    numbers = {name: number for number, name in enumerate(names)}
    if unknown := sorted(set(used) - numbers.keys()):
        raise UserError(f"{where}: {unknown[0]!r} is not in class_names", rule="each class is named", fix="Add it")
    return numbers


def _names(value: object) -> list[str] | None:
    return [str(name) for name in value] if isinstance(value, list) else None
