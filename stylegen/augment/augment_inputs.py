"""Random numbers of an augmentation: a few per image and operation, supplied by the caller.

An operation takes one number per image by name. The names are the columns of three tables, generated for all
operations, so enabling one does not change another's numbers.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stylegen.randomness import Request

_IMAGE_NOISE = "augment/picture"  # do not rename: part of the random key
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


class AugmentInputs(NamedTuple):
    """Random numbers for the augmentation of N images.

    Attributes:
        gates, uniforms: [N, names] in [0, 1), with the columns of `GATES` and `UNIFORMS`.
        normals: [N, names], standard normal, with the columns of `NORMALS`.
        image_noise: [N, C, H, W], standard normal; None for pipelines without additive noise.
    """

    gates: Tensor
    uniforms: Tensor
    normals: Tensor
    image_noise: Tensor | None = None

    def gate(self, name: str, probability: float) -> Tensor:
        """bool [N], true with `probability`; one of `GATES`."""
        return self.gates[:, GATES.index(name)] < probability

    def uniform(self, name: str) -> Tensor:
        """[N] in [0, 1); one of `UNIFORMS`."""
        return self.uniforms[:, UNIFORMS.index(name)]

    def normal(self, name: str) -> Tensor:
        """[N], standard normal; one of `NORMALS`."""
        return self.normals[:, NORMALS.index(name)]

    def first(self, count: int) -> "AugmentInputs":
        """The inputs of the first `count` images."""
        noise = None if self.image_noise is None else self.image_noise[:count]
        return AugmentInputs(self.gates[:count], self.uniforms[:count], self.normals[:count], noise)


def augment_requests(purpose: str, noise_shape: Sequence[int] | None = None) -> dict[str, Request]:
    """What `randomness.generate` supplies for `augment_inputs`.

    Args:
        purpose: the caller, such as ``"D_main/real"``; different purposes get independent numbers.
        noise_shape: (C, H, W) of the images, for a pipeline with additive noise.
    """
    requests = {
        f"{purpose}/augment/gates": Request("uniform", (len(GATES),)),
        f"{purpose}/augment/uniforms": Request("uniform", (len(UNIFORMS),)),
        f"{purpose}/augment/normals": Request("normal", (len(NORMALS),)),
    }
    if noise_shape is not None:
        channels, *sides = noise_shape
        planes = (f"{purpose}/{_IMAGE_NOISE}{k}" for k in range(channels))
        requests |= dict.fromkeys(planes, Request("normal", (1, *sides)))
    return requests


def augment_inputs(purpose: str, numbers: Mapping[str, Tensor]) -> AugmentInputs:
    """Collects the results of `augment_requests(purpose)` among the results of all requests."""
    planes = [value for name, value in numbers.items() if name.startswith(f"{purpose}/{_IMAGE_NOISE}")]
    return AugmentInputs(
        gates=numbers[f"{purpose}/augment/gates"],
        uniforms=numbers[f"{purpose}/augment/uniforms"],
        normals=numbers[f"{purpose}/augment/normals"],
        image_noise=torch.cat(planes, dim=1) if planes else None,
    )
