"""`dataset.json`, stored with the images: labels, origin, digests of the images; and the fingerprint of a dataset.

NVIDIA's layout (StyleGAN2-ADA, StyleGAN3): a JSON object with the key `labels`, null or a list of pairs,
``[["00000/img00000000.png", 3], ...]``. All other keys are ours (`name`, `class_names`, `license`, `attribution`,
`made_by`, `fingerprint`, `digests`, `prepared`, `stamp`, ...); NVIDIA's reader ignores them. Imports no torch.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from stylegen.errors import UserError
from stylegen.files import parse_json

FILE_NAME = "dataset.json"
MAX_CLASSES = 10**5  # each is a row of an embedding; larger numbers are probably not classes
MAX_FLOAT32 = 3e38

Label = int | tuple[float, ...]
"""A class index from 0, or a vector of attributes."""

_LABELS_RULE = 'labels must be null or one pair for each image, [["00000/img00000000.png", 3], ...]'


def image_digest(image: np.ndarray) -> str:
    """32 hexadecimal digits: BLAKE2b-128 of shape and bytes of one image, uint8 [C, H, W]."""
    digest = hashlib.blake2b(json.dumps(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def combine(digests: Iterable[str], labels: Iterable[Label | None]) -> str:
    """The fingerprint of a dataset from the digests of its images and their labels, in order.

    Two levels, so that several processes can hash images and interrupted work can continue.
    """
    combined = hashlib.blake2b(b"stylegen dataset 2\n", digest_size=16)
    for digest, label in zip(digests, labels, strict=True):
        combined.update(f"{digest} {json.dumps(label)}\n".encode())
    return combined.hexdigest()


def fingerprint(images: Iterable[np.ndarray], labels: Iterable[Label | None]) -> str:
    """32 hexadecimal digits: hash of decoded pixels and labels, in order.

    Independent of file names, container and compression.

    Args:
        images: uint8 [C, H, W] each.
        labels: one for each image.
    """
    return combine(map(image_digest, images), labels)


def dump_metadata(metadata: dict[str, Any]) -> bytes:
    """`dataset.json` as stored: equal dictionaries give equal bytes in any order."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace")


def parse_metadata(text: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `text`; `where` names the file in errors.

    Raises:
        UserError: not JSON, or not an object.
    """
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise UserError(
            f"{where} cannot be read ({error})",
            rule="must contain one JSON object",
            fix="Correct it, or remove it to train without labels",
        ) from error
    if not isinstance(metadata, dict):
        raise UserError(
            f"{where} contains a {type(metadata).__name__}",
            rule="must contain one JSON object",
            fix='Write {"labels": null} or {"labels": [[file, class], ...]}',
        )
    return metadata


def stored_digests(metadata: dict[str, Any], count: int) -> list[str] | None:
    """The `image_digest`s of `count` images in the metadata, or None."""
    digests = metadata.get("digests")
    if not isinstance(digests, list) or len(digests) != count:
        return None
    return digests if all(isinstance(d, str) and re.fullmatch("[0-9a-f]{32}", d) for d in digests) else None


def class_names(metadata: dict[str, Any]) -> list[str] | None:
    """`class_names` as strings, or None."""
    names = metadata.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else None


def parse_labels(metadata: dict[str, Any], keys: Iterable[str], where: str) -> dict[str, Label] | None:
    """The label of each image; None for a dataset without labels.

    Raises:
        UserError: a malformed pair; a file that is labeled twice, not in the dataset, or has no label; indices mixed
            with vectors.
    """
    pairs = metadata.get("labels")
    if pairs is None:
        return None
    if not isinstance(pairs, list):
        raise UserError(f"{where}: labels is {pairs!r:.60}", rule=_LABELS_RULE, fix="Use this layout")
    labels: dict[str, Label] = {}
    for pair in pairs:
        key, label = _parse_pair(pair, where)
        if key in labels:
            raise UserError(
                f"{where} labels {key} twice", rule="each image must have one label", fix="Remove one of them"
            )
        labels[key] = label
    _check_complete(labels, set(keys), where)
    if len({None if isinstance(label, int) else len(label) for label in labels.values()}) > 1:
        raise UserError(
            f"{where} mixes labels of several kinds",
            rule="all must be class indices, or all must be vectors of one length",
            fix="Use one kind for all images",
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
        f"{where}: labels contains {pair!r:.80}",
        rule=f"each entry must be [file, class], with a class that is an integer from 0 to {MAX_CLASSES - 1} "
        "or a list of finite numbers",
        fix="Use this layout, or set labels to null",
    )


def _is_finite(number: float) -> bool:
    return abs(number) <= MAX_FLOAT32 and not math.isnan(number)


def _check_complete(labels: dict[str, Label], keys: set[str], where: str) -> None:
    if unknown := sorted(labels.keys() - keys):
        raise UserError(
            f"{where} labels {_some(unknown)}, which the dataset does not contain",
            rule="labels name images by their path below the top of the dataset",
            fix="Remove these entries or add the images",
        )
    if missing := sorted(keys - labels.keys()):
        raise UserError(
            f"{where} has no label for {_some(missing)}",
            rule="either all images or none must have labels",
            fix="Add the labels, or set labels to null",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
