"""Random numbers of an augmentation: a few per image and operation, supplied by the caller.

An operation requests one number per image by name. The names are the columns of three tables. One call of the
counter-based generator fills a table for all operations, so enabling one does not change another's numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen import randomness

_BANDS = tuple(f"imgfilter_{band}" for band in range(4))
# Whether an operation applies to an image.
GATES = (
    "xflip",
    "rotate90",
    "xint",
    "scale",
    "rotate_before",
    "aniso",
    "rotate_after",
    "xfrac",
    "brightness",
    "contrast",
    "lumaflip",
    "hue",
    "saturation",
    *_BANDS,
    "noise",
    "cutout",
    "diffaugment",
)
UNIFORMS = (
    "xflip",
    "rotate90",
    "xint_x",
    "xint_y",
    "rotate_before",
    "rotate_after",
    "lumaflip",
    "hue",
    "cutout_x",
    "cutout_y",
    "brightness",
    "contrast",
    "saturation",
)
NORMALS = ("scale", "aniso", "xfrac_x", "xfrac_y", "brightness", "contrast", "saturation", *_BANDS, "noise")


class AugmentDraws:
    """Random numbers for N images from the counter-based generator, keyed by (seed, purpose, global image index).

    Args:
        seed: of the run.
        purpose: the caller, such as ``"D_main/real"``; different purposes get independent numbers.
        indices: int64 [N], global image indices.
    """

    def __init__(self, seed: int, purpose: str, indices: Tensor) -> None:
        self.seed, self.purpose, self.indices = seed, f"{purpose}/augment", indices
        self._gates = randomness.uniform(seed, f"{self.purpose}/gates", indices, (len(GATES),))
        self._uniforms = randomness.uniform(seed, f"{self.purpose}/uniforms", indices, (len(UNIFORMS),))
        self._normals = randomness.normal(seed, f"{self.purpose}/normals", indices, (len(NORMALS),))

    def gate(self, name: str, probability: float) -> Tensor:
        """bool [N], true with `probability`; one of `GATES`."""
        return self._gates[:, GATES.index(name)] < probability

    def uniform(self, name: str) -> Tensor:
        """[N] in [0, 1); one of `UNIFORMS`."""
        return self._uniforms[:, UNIFORMS.index(name)]

    def normal(self, name: str) -> Tensor:
        """[N], standard normal; one of `NORMALS`."""
        return self._normals[:, NORMALS.index(name)]

    def image_noise(self, shape: Sequence[int]) -> Tensor:
        """[N, C, H, W] for a shape of (C, H, W), standard normal."""
        # Channel by channel: random words for all channels of large images at once would take gigabytes.
        planes = (
            randomness.normal(self.seed, f"{self.purpose}/picture{channel}", self.indices, (1, *shape[1:]))
            for channel in range(shape[0])
        )
        return torch.cat(list(planes), dim=1)
