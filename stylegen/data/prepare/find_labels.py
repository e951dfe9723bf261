"""Labels for `prepare`: from the source, from names of subfolders, or from a CSV or JSON file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stylegen.data.metadata import Label, class_names, parse_labels
from stylegen.data.prepare.csv_rows import read_text, split_rows
from stylegen.data.sources.source import Source
from stylegen.errors import UserError, unknown_choice
from stylegen.files import parse_json

_MAX_DIGITS = 18
SEPARATOR = "|"  # between several classes of one image in a CSV


class Labels(NamedTuple):
    """The label of each image, or None; and the names of the classes, or of the entries of the vectors."""

    of: dict[str, Label] | None
    names: list[str] | None


def find_labels(choice: str, source: Source) -> Labels:
    """The labels selected by `choice`, one for each image of the source.

    Args:
        choice: "auto", the labels of the source, if any; "none"; "folders", the class is the first folder of each path;
            or a .csv or .json file.

            A CSV has one line per image: its path below the source, then one column (a class index, a class name, or
            several names separated by ``|``), or several columns of numbers (attributes). A header line starts with
            "file" or a similar word.
            A JSON file has the layout of `dataset.json`, or is one object ``{file: label}``; a label is an index, a
            name, a list of names, or a list of numbers.

    Raises:
        UserError: labels for missing files, two labels for a file, or files without labels; labels of several kinds; a
            file that cannot be read.
    """
    keys = source.keys()
    if choice == "none":
        return Labels(None, None)
    if choice == "auto":
        of = {key: label for key in keys if (label := source.label(key)) is not None}
        return Labels(of, class_names(source.metadata)) if of else Labels(None, None)
    if choice == "folders":
        return _settle([[key, _top_folder(key)] for key in keys], keys, "labels=folders", None)
    path = Path(choice).expanduser()
    if path.suffix.lower() not in (".csv", ".json"):
        raise unknown_choice("labels", choice, ("auto", "none", "folders", "FILE.csv", "FILE.json"))
    text = read_text("labels", path)
    if path.suffix.lower() == ".csv":
        return _from_csv(text, keys, str(path))
    return _from_json(text, keys, str(path))


def _top_folder(key: str) -> str:
    folder, slash, _ = key.partition("/")
    if not slash:
        raise UserError(
            f"labels=folders, but {key} is not in a subfolder",
            rule="the class is the first folder of each path",
            fix="Move it into a folder, or use labels=FILE.csv",
        )
    return folder


def _from_csv(text: str, keys: list[str], where: str) -> Labels:
    header, rows = split_rows(text, set(keys), where)
    width = len(rows[0]) if rows else 2
    odd = next((row for row in rows if len(row) != width or width < 2), None)
    if odd is not None:
        raise UserError(
            f"{where}: the line {','.join(odd)!r:.80} has {len(odd)} column(s)",
            rule="all lines must have the same columns, at least two: the file, and its class or attributes",
            fix="Correct it",
        )
    if width == 2:
        return _settle([[key, cell] for key, cell in _parse_cells(rows, where)], keys, where, None)
    try:
        pairs = [[row[0], [float(cell) for cell in row[1:]]] for row in rows]
    except ValueError as error:
        raise UserError(
            f"{where}: {error}", rule="several columns must be numbers (attributes)", fix="Correct it"
        ) from error
    return _settle(pairs, keys, where, header[1:] if header else None)


def _parse_cells(rows: list[list[str]], where: str) -> list[tuple[str, int | str | list[str]]]:
    """A single label column: lists of names if any line has several, else indices or names."""
    rows = [[key, cell.strip()] for key, cell in rows]
    if any(SEPARATOR in cell for _, cell in rows):
        return [(key, [name for name in map(str.strip, cell.split(SEPARATOR)) if name]) for key, cell in rows]
    if empty := next((key for key, cell in rows if not cell), None):
        raise UserError(f"{where} has no label for {empty}", rule="each image must have a class", fix="Add it")
    if all(cell.isdecimal() for _, cell in rows):
        if long := next((cell for _, cell in rows if len(cell) > _MAX_DIGITS), None):
            raise UserError(
                f"{where} contains the class {long[:_MAX_DIGITS]}... of {len(long)} digits",
                rule="classes must be numbers from 0, or names",
                fix="Renumber the classes",
            )
        return [(key, int(cell)) for key, cell in rows]
    return [(key, cell) for key, cell in rows]


def _from_json(text: str, keys: list[str], where: str) -> Labels:
    try:
        note = parse_json(text, object_pairs_hook=_object)
    except ValueError as error:
        raise UserError(f"{where} cannot be read ({error})", rule="must be a JSON file", fix="Correct it") from error
    if not isinstance(note, dict):
        raise UserError(
            f"{where} contains a {type(note).__name__}", rule="must contain one JSON object", fix="Correct it"
        )
    if isinstance(note.get("labels"), list):
        return _settle(note["labels"], keys, where, class_names(note))
    return _settle([[key, label] for key, label in note.items()], keys, where, None)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object with unique keys; of duplicates `json` silently keeps the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it contains {twice} twice")
    return found


def _settle(pairs: list[Any], keys: Sequence[str], where: str, names: list[str] | None) -> Labels:
    """Converts names to indices and lists of names to vectors of 0 and 1, and checks the result."""
    if odd := [pair for pair in pairs if not (isinstance(pair, list) and len(pair) == 2)]:
        return Labels(parse_labels({"labels": odd}, keys, where), None)  # raises the error
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
        raise UserError(
            f"{where}: {unknown[0]!r} is not in class_names", rule="class_names must list every class", fix="Add it"
        )
    return numbers
