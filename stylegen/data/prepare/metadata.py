"""`dataset.json`, the note that lies beside the pictures: labels, and where the pictures come from.

The layout is the one that NVIDIA's StyleGAN2-ADA and StyleGAN3 read: a JSON object whose key `labels` is
null or a list of pairs, ``[["00000/img00000000.png", 3], ...]``. All other top-level keys are ours (`name`,
`class_names`, `licence`, `attribution`, `made_by`, `fingerprint`, `digests`, `prepared`, `stamp`, ...); their reader
passes over them.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from stylegen.errors import UserError
from stylegen.files import parse_json

FILE_NAME = "dataset.json"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
CONVERTIBLE_SUFFIXES = (*PICTURE_SUFFIXES, ".tif", ".tiff", ".gif", ".bmp", ".jfif", ".jpe")
"""What `prepare` reads."""
OTHER_SUFFIXES = (
    *(".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dng", ".exr", ".gif", ".heic", ".heif", ".jfif", ".jp2"),
    *(".jpe", ".jxl", ".nef", ".orf", ".pgm", ".ppm", ".psd", ".raf", ".rw2", ".svg", ".tga", ".tif", ".tiff"),
)
"""Files that people take for pictures too; `prepare` converts some, and reports the others as left out."""

MAX_CLASSES = 10**5  # each is a row of an embedding: more are numbers of something else
MAX_FLOAT32 = 3e38

Label = int | tuple[float, ...]
"""A class index from 0, or a vector of attributes."""

_LABELS_RULE = 'labels are null or one pair for each picture, [["00000/img00000000.png", 3], ...]'


def is_picture(key: str, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> bool:
    """Whether this relative path names a picture; hidden files and macOS's `__MACOSX` copies are none."""
    return key.lower().endswith(suffixes) and not _is_hidden(key)


def is_passed_over(key: str, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> bool:
    """Whether this relative path names a picture in a format that is not read."""
    return key.lower().endswith(OTHER_SUFFIXES) and not is_picture(key, suffixes) and not _is_hidden(key)


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(key).parts)


def dump_metadata(metadata: dict[str, Any]) -> bytes:
    """The metadata as they are stored: the same dictionary gives the same bytes, in whatever order."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace")


def parse_metadata(text: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `text`; `where` names the file in errors.

    Raises:
        UserError: no JSON, or no object at its top.
    """
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise UserError(
            f"{where} cannot be read ({error})",
            rule="it holds one JSON object",
            fix="Mend it, or remove it to train without labels",
        ) from error
    if not isinstance(metadata, dict):
        raise UserError(
            f"{where} holds a {type(metadata).__name__}",
            rule="it holds one JSON object",
            fix='Write {"labels": null} or {"labels": [[file, class], ...]}',
        )
    return metadata


def stored_digests(metadata: dict[str, Any], count: int) -> list[str] | None:
    """The digests of `count` pictures that `prepare` has stored (see `stylegen.data.fingerprint`), or None."""
    digests = metadata.get("digests")
    if not isinstance(digests, list) or len(digests) != count:
        return None
    return digests if all(isinstance(d, str) and re.fullmatch("[0-9a-f]{32}", d) for d in digests) else None


def parse_labels(metadata: dict[str, Any], keys: Iterable[str], where: str) -> dict[str, Label] | None:
    """The label of each picture, or None when the dataset has none.

    Raises:
        UserError: a pair of another form, a file named twice or not there, a picture left out, or indices
            and vectors mixed.
    """
    pairs = metadata.get("labels")
    if pairs is None:
        return None
    if not isinstance(pairs, list):
        raise UserError(f"{where}: labels is {pairs!r:.60}", rule=_LABELS_RULE, fix="Write it so")
    labels: dict[str, Label] = {}
    for pair in pairs:
        key, label = _parse_pair(pair, where)
        if key in labels:
            raise UserError(f"{where} labels {key} twice", rule="each picture has one label", fix="Remove one of them")
        labels[key] = label
    _check_complete(labels, set(keys), where)
    if len({None if isinstance(label, int) else len(label) for label in labels.values()}) > 1:
        raise UserError(
            f"{where} mixes labels of several kinds",
            rule="all are class indices, or all are vectors of one length",
            fix="Write them all in one way",
        )
    return labels


def _parse_pair(pair: object, where: str) -> tuple[str, Label]:
    match pair:
        case [str(key), int(index)] if 0 <= index < MAX_CLASSES and not isinstance(index, bool):
            return key, index
        case [str(key), [_, *_] as values]:
            numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and _is_finite(v)]
            if len(numbers) == len(values):
                return key, tuple(map(float, numbers))
    raise UserError(
        f"{where}: labels holds {pair!r:.80}",
        rule=f"each entry is [file, class], a class is an integer from 0 to {MAX_CLASSES - 1} "
        "or a list of finite numbers",
        fix="Write it so, or set labels to null",
    )


def _is_finite(number: float) -> bool:
    return abs(number) <= MAX_FLOAT32 and not math.isnan(number)


def _check_complete(labels: dict[str, Label], keys: set[str], where: str) -> None:
    if unknown := sorted(labels.keys() - keys):
        raise UserError(
            f"{where} labels {_some(unknown)}, which the dataset does not hold",
            rule="labels name pictures by their path below the top of the dataset",
            fix="Remove these entries or add the pictures",
        )
    if missing := sorted(keys - labels.keys()):
        raise UserError(
            f"{where} has no label for {_some(missing)}",
            rule="all pictures have labels or none has",
            fix="Add the labels, or set labels to null",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
