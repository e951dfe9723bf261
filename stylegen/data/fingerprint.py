"""The fingerprint of a dataset: what is in it, not how it is packed."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np

from stylegen.data.metadata import Label


def fingerprint(pictures: Iterable[np.ndarray], labels: Iterable[Label | None]) -> str:
    """32 hexadecimal digits over the decoded pixels and labels, in their order.

    A folder and a zip with the same pictures and labels have the same fingerprint, whatever the files are
    called, and however they are compressed. BLAKE2b-128 over, for each picture, its shape, its bytes, and
    its label as JSON.

    Args:
        pictures: uint8 [C, H, W] each.
        labels: as many.
    """
    digest = hashlib.blake2b(b"stylegen dataset 1\n", digest_size=16)
    for picture, label in zip(pictures, labels, strict=True):
        digest.update(json.dumps(picture.shape).encode())
        digest.update(np.ascontiguousarray(picture).data)
        digest.update(json.dumps(label).encode())
    return digest.hexdigest()
