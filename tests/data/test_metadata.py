"""Equal contents have equal fingerprints; any change changes the fingerprint."""

import numpy as np
import pytest

from stylegen.data.metadata import fingerprint

IMAGES = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
CHANGES = {
    "pixel": (IMAGES ^ np.eye(4, dtype=np.uint8), [0, 1]),
    "order": (IMAGES[::-1], [0, 1]),
    "label": (IMAGES, [1, 0]),
    "no labels": (IMAGES, [None, None]),
    "vector": (IMAGES, [(0.0,), (1.0,)]),
    "shape": (IMAGES.reshape(2, 3, 2, 8), [0, 1]),
    "fewer": (IMAGES[:1], [0]),
}


def test_is_stable_and_ignores_the_memory_layout():
    expected = "690a3f0f3159e75fa4da7b157e7851c1"
    assert fingerprint(IMAGES, [0, 1]) == expected
    assert fingerprint(np.asfortranarray(IMAGES), [0, 1]) == expected


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_shows(change):
    assert fingerprint(*CHANGES[change]) != fingerprint(IMAGES, [0, 1])


def test_each_image_has_a_label():
    with pytest.raises(ValueError, match="shorter"):
        fingerprint(IMAGES, [0])
