"""Degradations of real images, in increasing severity, to test the sensitivity of metrics.

Each is applied to all reals, and the result is compared with the original reals: without degradation, a Frechet
distance is 0 and coverage is 1.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from stylegen import randomness

Damage = Callable[[Tensor, Tensor, float], Tensor]
Choice = Callable[[Tensor, float], Tensor]

_SEED = 0
_PATCHES = 4  # cells per side of the grid for `swap_patches`


@dataclass(frozen=True)
class Degradation:
    """One kind of degradation.

    Args:
        name: first column of the table.
        label: format string for a severity.
        severities: arguments of `damage` or `choose`, in increasing order of severity.
        damage: (uint8 images [N, C, H, W], their indices in the dataset, severity) -> uint8 images.
        choose: instead of `damage`: (class of each real, int64 [N], severity) -> indices of the reals in the set.
        needs_classes: only for datasets with classes.
    """

    name: str
    label: str
    severities: tuple[float, ...]
    damage: Damage | None = None
    choose: Choice | None = None
    needs_classes: bool = False


def blur(images: Tensor, numbers: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels; borders are replicated."""
    reach = int(np.ceil(4 * sigma))
    taps = torch.exp(-((torch.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    taps = (taps / taps.sum()).expand(images.shape[1], 1, 1, -1)
    x = functional.pad(images.float(), (reach,) * 4, mode="replicate")
    for kernel in (taps, taps.transpose(2, 3)):
        x = functional.conv2d(x, kernel, groups=images.shape[1])
    return _to_uint8(x)


def pixelate(images: Tensor, numbers: Tensor, block: float) -> Tensor:
    """Replace each block x block tile by its mean."""
    means = functional.avg_pool2d(images.float(), int(block))
    return _to_uint8(means.repeat_interleave(int(block), dim=2).repeat_interleave(int(block), dim=3))


def gaussian_noise(images: Tensor, numbers: Tensor, sigma: float) -> Tensor:
    """Independent noise for every value; sigma in 8-bit gray levels."""
    return _to_uint8(images + sigma * randomness.normal(_SEED, "degradations/noise", numbers, images.shape[1:]))


def salt_and_pepper(images: Tensor, numbers: Tensor, share: float) -> Tensor:
    """Sets this share of the pixels to black or white."""
    values = randomness.uniform(_SEED, "degradations/salt", numbers, (1, *images.shape[2:]))
    return torch.where(values < share, torch.where(values < share / 2, 0, 255), images).to(torch.uint8)


def jpeg(images: Tensor, numbers: Tensor, quality: float) -> Tensor:
    """JPEG compression at this quality, with Pillow's defaults."""

    def coded(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "JPEG", quality=int(quality))
        with Image.open(file, formats=("JPEG",)) as decoded:
            return np.asarray(decoded).reshape(image.shape)

    return torch.from_numpy(np.stack([coded(image) for image in images.permute(0, 2, 3, 1).numpy()])).permute(
        0, 3, 1, 2
    )


def shift_red(images: Tensor, numbers: Tensor, levels: float) -> Tensor:
    """Adds `levels` gray levels to the first channel."""
    x = images.float()
    x[:, 0] += levels
    return _to_uint8(x)


def desaturate(images: Tensor, numbers: Tensor, share: float) -> Tensor:
    """Interpolates toward the mean of the channels; 1 is gray."""
    return _to_uint8(images.float().lerp(images.float().mean(dim=1, keepdim=True), share))


def swap_patches(images: Tensor, numbers: Tensor, pairs: float) -> Tensor:
    """Swaps pairs of cells of a 4 x 4 grid, chosen per image."""
    side = images.shape[-1] // _PATCHES
    found = images.clone()
    for row, number in enumerate(numbers.tolist()):
        order = randomness.permutation(_PATCHES**2, _SEED, "degradations/patches", number).tolist()
        for a, b in zip(order[: int(pairs)], order[int(pairs) : 2 * int(pairs)], strict=True):
            (ya, xa), (yb, xb) = divmod(a, _PATCHES), divmod(b, _PATCHES)
            first = (row, slice(None), slice(ya * side, (ya + 1) * side), slice(xa * side, (xa + 1) * side))
            second = (row, slice(None), slice(yb * side, (yb + 1) * side), slice(xb * side, (xb + 1) * side))
            found[first], found[second] = images[second], images[first]
    return found


def translate(images: Tensor, numbers: Tensor, pixels: float) -> Tensor:
    """Moves the image to the right; the left border is replicated."""
    return functional.pad(images.float(), (int(pixels), 0, 0, 0), mode="replicate")[..., : images.shape[-1]].byte()


def replace_by_static(images: Tensor, numbers: Tensor, share: float) -> Tensor:
    """Replaces this share of the images with uniform noise."""
    chosen = randomness.uniform(_SEED, "degradations/replaced", numbers, (1, 1, 1)) < share
    static = randomness.uniform(_SEED, "degradations/static", numbers, images.shape[1:]) * 256
    return torch.where(chosen, static.byte(), images)


def drop_classes(classes: Tensor, share: float) -> Tensor:
    """Drops this share of the classes, from the last one; repeats the rest to the original number of images."""
    kept = max(1, round(int(classes.max() + 1) * (1 - share)))
    return _repeated(torch.nonzero(classes < kept)[:, 0], len(classes))


def memorize(classes: Tensor, share: float) -> Tensor:
    """Keep a seeded random fraction of the reals, repeated up to the original number of images."""
    # The key keeps its former spelling: another key chooses other images than in docs/evaluation.md.
    order = randomness.permutation(len(classes), _SEED, "degradations/memorised")
    return _repeated(order[: max(1, round(share * len(classes)))], len(classes))


DEGRADATIONS = (
    Degradation("blur", "sigma {:g} px", (0.5, 1, 1.5, 2), blur),
    Degradation("pixelated", "{0:g}x{0:g}", (2, 4), pixelate),
    Degradation("Gaussian noise", "sigma {:g}/255", (8, 16, 32), gaussian_noise),
    Degradation("salt and pepper", "{:.0%} of pixels", (0.01, 0.05, 0.2), salt_and_pepper),
    Degradation("JPEG", "quality {:g}", (90, 75, 50, 25), jpeg),
    Degradation("red channel", "+{:g}/255", (8, 16, 32), shift_red),
    Degradation("desaturated", "{:.0%}", (0.25, 0.5, 1), desaturate),
    Degradation("swapped patches", "{:g} pairs of 16 cells", (1, 2, 4), swap_patches),
    Degradation("translated", "{:g} px", (1, 3), translate),
    Degradation("replaced by static", "{:.0%} of images", (0.01, 0.1, 1), replace_by_static),
    Degradation("dropped classes", "{:.0%} of classes", (1 / 6, 1 / 2, 5 / 6), choose=drop_classes, needs_classes=True),
    Degradation("memorized", "{:.0%} of images", (1 / 2, 1 / 4, 1 / 16), choose=memorize),
)


def _repeated(numbers: Tensor, count: int) -> Tensor:
    return numbers[torch.arange(count) % len(numbers)]


def _to_uint8(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
