"""The average power spectrum of a set of images (Karras et al. 2021, arXiv 2106.12423, section 4 and figure 5).

    P(f) = mean over images and channels of |sum_p v(p) (x(p) - m) / s exp(-2 pi i f . p)|^2

with pixels x in [0, 255], the mean m and the deviation s of all pixels of the real images, and a Kaiser window v (beta
8) along both axes with sum of squares 1, which suppresses the leakage from the image's borders. White noise with
deviation s has P = 1, 0 dB. Images are extended by zeros to four times their side.

Letters: N batch, C channels, H side, F = 4 H frequencies along an axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BETA = 8.0
INTERPOLATION = 4
MOST_POINTS = 33  # of a slice on the card


@dataclass(frozen=True)
class Whitening:
    """The mean and the deviation of the pixels of the real images."""

    mean: float
    deviation: float


def pixel_sums(images: Tensor) -> Tensor:
    """Number, sum and sum of squares of all values of uint8 [N, C, H, H]: float64 [3]."""
    values = images.double()
    return torch.stack([values.new_tensor(values.numel()), values.sum(), values.square().sum()])


def whitening_of(sums: Tensor) -> Whitening:
    """From the total of `pixel_sums`."""
    count, total, squares = sums.tolist()
    mean = total / count
    return Whitening(mean, max(squares / count - mean**2, 0.0) ** 0.5)


def power_sum(images: Tensor, whitening: Whitening) -> Tensor:
    """Sum over images of the mean over channels of the power, for f_x >= 0: float64 [F, F / 2 + 1].

    Args:
        images: uint8 [N, C, H, H].
    """
    side = images.shape[-1]
    window = torch.kaiser_window(side, periodic=False, beta=BETA, dtype=torch.float64, device=images.device)
    window = window / window.norm()
    values = (images.double() - whitening.mean) / whitening.deviation * window[:, None] * window
    spectrum = torch.fft.rfft2(values, s=2 * [INTERPOLATION * side])
    return spectrum.abs().square().mean(dim=1).sum(dim=0)


def decibels(power: Tensor) -> Tensor:
    """10 log10 P, from -H / 2 to H / 2 cycles per image along both axes: [F + 1, F + 1].

    Args:
        power: P for f_x >= 0, [F, F / 2 + 1].
    """
    right = torch.cat([power.roll(len(power) // 2, dims=0), power[len(power) // 2 :][:1]])  # f_y from -H / 2 to H / 2
    left = right.flip(0, 1)[:, :-1]  # P(-f) = P(f) for real images
    return 10 * torch.cat([left, right], dim=1).clamp(min=1e-30).log10()


def slices(spectrum: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Slices of `decibels` from the center at 0 and at 45 degrees: to H / 2 and H / sqrt(2) cycles per image.

    Args:
        most: largest number of points, at equal distances; None for all F / 2 + 1.
    """
    half = len(spectrum) // 2
    step = 1
    while most is not None and half // step + 1 > most and half % (2 * step) == 0:
        step *= 2
    index = torch.arange(half, len(spectrum), step)
    return spectrum[half, index], spectrum[index, index]
