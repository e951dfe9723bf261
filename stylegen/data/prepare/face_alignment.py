"""Alignment of faces as in CelebA-HQ and FFHQ (Karras et al. 2018, arXiv 1710.10196, appendix C; 2019, 1812.04948).

With the eyes l and r, their mean e, the mean m of the corners of the mouth, and rot90(x, y) = (-y, x), the aligned face
is the square with center c and half axes x (to the right) and y (down):

    u = (r - l) - rot90(m - e)
    x = u / |u| * max(2.0 |r - l|, 1.8 |m - e|),   y = rot90(x),   c = e + 0.1 (m - e)

Positions are in pixels: (0, 0) is the center of the upper left pixel. Imports no torch.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

_SAMPLES = 4  # in each direction, of an output pixel
_BLUR = 0.02  # standard deviation outside of the image, as a share of the square's side
_BLURRED_FROM = 0.1  # distance from the image, as a share of the side, from which only the blurred image remains

Point = tuple[float, float]


class Face(NamedTuple):
    """Five positions; left is left in the image. The nose does not enter the formula."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class Square(NamedTuple):
    """A rotated square: its center, and the half axis to its right."""

    center: np.ndarray
    axis: np.ndarray

    @property
    def side(self) -> float:
        """In pixels."""
        return 2 * math.hypot(*self.axis)

    def corners(self) -> np.ndarray:
        """[4, 2]: upper left, upper right, lower right, lower left."""
        x, y = self.axis, _rot90(self.axis)
        return np.stack([self.center - x - y, self.center + x - y, self.center + x + y, self.center - x + y])


def face_square(face: Face) -> Square:
    """The formula above.

    Raises:
        ValueError: eyes that coincide; eyes and mouth on a line, or mirrored.
    """
    left, right, _, *mouth = np.array(face, dtype=np.float64)
    eyes, across, down = (left + right) / 2, right - left, np.mean(mouth, axis=0) - (left + right) / 2
    if math.hypot(*across) == 0:
        raise ValueError("the eyes coincide")
    if across[0] * down[1] - across[1] * down[0] <= 0:  # of a face: positive at any rotation in the image
        raise ValueError("left and right are swapped, or the mouth is not below the eyes")
    u = across - _rot90(down)
    half = max(2.0 * math.hypot(*across), 1.8 * math.hypot(*down))
    return Square(eyes + 0.1 * down, u / math.hypot(*u) * half)


def align_face(image: Image.Image, face: Face, resolution: int) -> tuple[Image.Image, bool]:
    """The aligned face, and whether its pixels were enlarged.

    Each pixel is the mean of 4x4 bilinear samples, of the image reduced by a whole factor to 2 to 4 times the result.
    Outside of its borders the image is mirrored, and blurred more with the distance.

    Args:
        image: mode L, RGB or RGBA.

    Raises:
        ValueError: see `face_square`; landmarks outside of the image.
    """
    outside = next((p for p in face if not all(-0.5 <= v <= n - 0.5 for v, n in zip(p, image.size, strict=True))), None)
    if outside is not None:
        at = ", ".join(f"{value:g}" for value in outside)
        raise ValueError(f"the landmark ({at}) is outside of the image of {image.width}x{image.height} pixels")
    square = face_square(face)
    factor = max(1, int(square.side / (2 * resolution)))
    part, origin = _around(image, square)
    if factor > 1:
        part = part.reduce(factor)
    corners = (square.corners() + 0.5 - origin) / factor  # from here on, (0, 0) is the corner of a pixel
    part, shift = _extended(part, corners, square.side / factor)
    corners = corners + shift
    side = resolution * _SAMPLES
    right, down = (corners[1] - corners[0]) / side, (corners[3] - corners[0]) / side
    rows = (right[0], down[0], corners[0][0], right[1], down[1], corners[0][1])
    samples = part.transform((side, side), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)
    return samples.reduce(_SAMPLES), square.side < resolution


def _rot90(v: np.ndarray) -> np.ndarray:
    return np.array([-v[1], v[0]])


def _around(image: Image.Image, square: Square) -> tuple[Image.Image, np.ndarray]:
    """The part of the image that the square needs, mirrored borders included, and its upper left corner."""
    low, high = square.corners().min(axis=0) - 1, square.corners().max(axis=0) + 2
    size = np.array(image.size)
    first = np.floor(np.minimum(low, 2 * size - high)).clip(0, size - 1).astype(int)
    last = np.ceil(np.maximum(high, -low)).clip(1, size).astype(int)
    return image.crop((first[0], first[1], last[0], last[1])), first


def _extended(image: Image.Image, corners: np.ndarray, side: float) -> tuple[Image.Image, np.ndarray]:
    """The image with mirrored, blurred borders as far as the corners reach, and the width of the left and upper one."""
    before = np.ceil(1 - corners.min(axis=0)).clip(0).astype(int)
    after = np.ceil(corners.max(axis=0) + 1 - image.size).clip(0).astype(int)
    if not before.any() and not after.any():
        return image, before
    pads: Sequence[tuple[int, int]] = [(before[1], after[1]), (before[0], after[0]), (0, 0)]
    array = np.asarray(image)
    mirrored = Image.fromarray(np.pad(array, pads[: array.ndim], mode="reflect"))
    x, y = (_beyond(b, n, a) for b, n, a in zip(before, image.size, after, strict=True))
    share = np.maximum(x[None, :], y[:, None]) / (_BLURRED_FROM * side)
    mask = Image.fromarray((share.clip(0, 1) * 255).astype(np.uint8))
    blurred = mirrored.filter(ImageFilter.GaussianBlur(_BLUR * side))
    return Image.composite(blurred, mirrored, mask), before


def _beyond(before: int, size: int, after: int) -> np.ndarray:
    """Distance of each pixel from an interval of `size` pixels, `before` and `after` it."""
    position = np.arange(-before, size + after, dtype=np.float32)
    return np.maximum(np.maximum(-position, position - (size - 1)), 0)
