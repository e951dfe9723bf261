"""Equal contents, equal fingerprints; any change shows."""

import numpy as np
import pytest

from stylegen.data.metadata import fingerprint

PICTURES = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
CHANGES = {
    "pixel": (PICTURES ^ np.eye(4, dtype=np.uint8), [0, 1]),
    "order": (PICTURES[::-1], [0, 1]),
    "label": (PICTURES, [1, 0]),
    "no labels": (PICTURES, [None, None]),
    "vector": (PICTURES, [(0.0,), (1.0,)]),
    "shape": (PICTURES.reshape(2, 3, 2, 8), [0, 1]),
    "fewer": (PICTURES[:1], [0]),
}


def test_is_stable_and_ignores_the_memory_layout():
    expected = "690a3f0f3159e75fa4da7b157e7851c1"
    assert fingerprint(PICTURES, [0, 1]) == expected
    assert fingerprint(np.asfortranarray(PICTURES), [0, 1]) == expected


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_shows(change):
    assert fingerprint(*CHANGES[change]) != fingerprint(PICTURES, [0, 1])


def test_each_picture_has_a_label():
    with pytest.raises(ValueError, match="shorter"):
        fingerprint(PICTURES, [0])
