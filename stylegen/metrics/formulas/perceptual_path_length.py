"""Perceptual path length (Karras et al. 2019, arXiv 1812.04948, section 4.1; StyleGAN2: 1912.04958, appendix).

The perceptual change of the image along a short step between two latents; smooth latent spaces have short paths:

    ppl = E d(g(p(t)), g(p(t + epsilon))) / epsilon^2,    epsilon = 1e-4

with d = LPIPS, p linear between two w or along the sphere between two z, and t = 0 ("end") or uniform in [0, 1)
("full"). Images stay floats (rounding to uint8 would exceed the step), are not cropped, are averaged down to 256 px,
and both ends share the noise. Values outside the 1st and 99th percentile are dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.features import PairDistance, ieee_float32
from stylegen.latent.interpolation import slerp
from stylegen.latent.seeds import random_labels
from stylegen.networks import StyleGenerator
from stylegen.one_hot import OneHot

EPSILON = 1e-4
SIDE = 256


@dataclass(frozen=True)
class Walk:
    """The paths to measure.

    Args:
        space: "w" or "z".
        full: t uniform in [0, 1); otherwise t = 0.
    """

    space: str
    full: bool


def path_distances(
    generator: StyleGenerator,
    label_table: Tensor | OneHot,
    walk: Walk,
    numbers: list[int],
    batch_size: int,
    distance: PairDistance,
) -> Iterator[Tensor]:
    """d / epsilon^2 of the paths `numbers`: batches of float32 [n, 1]. Path i depends on i only."""
    for start in range(0, len(numbers), batch_size):
        part = numbers[start : start + batch_size]
        with ieee_float32(next(generator.parameters()).device):
            first, second = _path_ends(generator, label_table, walk, part)
        yield (distance(first, second) / EPSILON**2).cpu()


@torch.no_grad()
def _path_ends(
    generator: StyleGenerator, label_table: Tensor | OneHot, walk: Walk, numbers: list[int]
) -> tuple[Tensor, Tensor]:
    device = next(generator.parameters()).device
    index = torch.tensor(numbers, device=device)
    ends = [randomness.normal(0, f"ppl/z{k}", index, (generator.z_dim,)) for k in range(2)]
    labels = random_labels(numbers, label_table).to(device)
    t = randomness.uniform(0, "ppl/t", index, (1,)) if walk.full else torch.zeros(len(numbers), 1, device=device)
    if walk.space == "w":
        a, b = (generator.mapping(z, labels) for z in ends)
        styles = [a + (b - a) * s for s in (t, t + EPSILON)]
    else:
        styles = [generator.mapping(slerp(ends[0], ends[1], s), labels) for s in (t, t + EPSILON)]
    sizes = generator.synthesis.noise_sizes
    requests = {f"ppl/noise{k}": randomness.Request("normal", (1, r, r)) for k, r in enumerate(sizes)}
    noise = randomness.generate(0, index, requests).values()
    ws = torch.cat(styles)[:, None].repeat(1, generator.num_ws, 1)
    images = generator.synthesis(ws, [n.repeat(2, 1, 1, 1) for n in noise])
    if images.shape[-1] > SIDE:
        images = functional.avg_pool2d(images, images.shape[-1] // SIDE)
    first, second = images.chunk(2)
    return first, second


def trimmed_mean(values: Tensor) -> float:
    """Mean of the values between the 1st percentile (next lower value) and the 99th (next higher), in float64."""
    ordered = values.double().flatten().sort().values
    last = len(ordered) - 1
    low, high = ordered[int(0.01 * last)], ordered[-(-99 * last // 100)]
    return float(ordered[(ordered >= low) & (ordered <= high)].mean())
