"""The fingerprint of a dataset: what is in it, not how it is packed. Imports no torch."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np

from stylegen.data.prepare.metadata import Label


def picture_digest(picture: np.ndarray) -> str:
    """32 hexadecimal digits: BLAKE2b-128 over shape and bytes of one picture, uint8 [C, H, W]."""
    digest = hashlib.blake2b(json.dumps(picture.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def combine(digests: Iterable[str], labels: Iterable[Label | None]) -> str:
    """The fingerprint of a dataset from the digests of its pictures and their labels, in their order.

    Two levels, so that several processes can work on the pictures, and an interrupted work continue.
    """
    digest = hashlib.blake2b(b"stylegen dataset 2\n", digest_size=16)
    for picture, label in zip(digests, labels, strict=True):
        digest.update(f"{picture} {json.dumps(label)}\n".encode())
    return digest.hexdigest()


def fingerprint(pictures: Iterable[np.ndarray], labels: Iterable[Label | None]) -> str:
    """32 hexadecimal digits over the decoded pixels and labels, in their order.

    A folder and a zip with the same pictures and labels have the same fingerprint, whatever the files are
    called, and however they are compressed.

    Args:
        pictures: uint8 [C, H, W] each.
        labels: as many.
    """
    return combine(map(picture_digest, pictures), labels)
