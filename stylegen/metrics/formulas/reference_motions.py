"""Motions of sampled images, as references for equivariance (Karras et al. 2021, arXiv 2106.12423, appendix E).

An image [H, W] holds samples of a band-limited signal. A moved image is a resampling of that signal; only pixels for
which the filter's whole support lies in the image are valid. Coordinates are in pixels, x to the right and y down.

Letters: N batch, C channels, H W space, T taps.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LOBES = 3  # of Lanczos' kernel: sinc(t) sinc(t / 3) for |t| < 3
RADIUS = 2 * LOBES  # of the filters of rotations, in pixels
OVERSAMPLING = 4  # of the image, between whose samples a rotation interpolates linearly
_NODES = 256  # of the integral over a frequency

Moved = tuple[Tensor, Tensor]


def translated(images: Tensor, shifts: Tensor, whole: bool) -> Moved:
    """Translate image n by `shifts[n]` (appendices E.1 and E.2).

    Args:
        images: [N, C, H, W].
        shifts: [N, 2], x and y in pixels.
        whole: shifts are whole numbers, and no filter is needed; else Lanczos' kernel, normalized to sum 1.

    Returns:
        The images, and 1.0 where they are valid, else 0.0: [N, 1, H, W].
    """
    size = images.shape[2:]
    (rows, valid_rows), (columns, valid_columns) = (
        _resampling(shifts[:, axis].double(), length, whole) for axis, length in ((1, size[0]), (0, size[1]))
    )
    moved = rows.to(images)[:, None] @ images @ columns.to(images)[:, None].mT
    return moved, (valid_rows[:, :, None] & valid_columns[:, None, :])[:, None].to(images)


def _resampling(shifts: Tensor, length: int, whole: bool) -> tuple[Tensor, Tensor]:
    """Matrices [N, to, from] that translate a row of `length` pixels, and which results are valid: bool [N, to]."""
    place = torch.arange(length, device=shifts.device, dtype=torch.float64)
    source = place - shifts[:, None]  # [N, to]
    offsets = source[:, :, None] - place
    radius = 0 if whole else LOBES
    weights = (offsets == 0).double() if whole else torch.sinc(offsets) * torch.sinc(offsets / LOBES)
    weights = weights * (offsets.abs() < max(radius, 1))
    first, last = source.floor() - max(radius - 1, 0), source.floor() + radius
    valid = (first >= 0) & (last < length)
    return weights / weights.sum(dim=2, keepdim=True).where(valid[:, :, None], 1.0), valid


def rotated(images: Tensor, angles: Tensor) -> Moved:
    """Rotate image n counter-clockwise by `angles[n]`, in radians, around its center (appendix E.3).

    Returns:
        See `translated`. Frequencies outside the images' or the rotated pixel grid's band are suppressed.
    """
    moved = [_rotated(image, float(angle)) for image, angle in zip(images, angles, strict=True)]
    results, valid = (torch.stack(parts) for parts in zip(*moved, strict=True))
    return results, valid


def _rotated(image: Tensor, angle: float) -> Moved:
    channels, height, width = image.shape
    taps = _common_band(-angle, OVERSAMPLING).to(image)
    dense = functional.conv_transpose2d(
        image[None], taps.expand(channels, 1, -1, -1), stride=OVERSAMPLING, groups=channels
    )
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    cos, sin = np.cos(angle), np.sin(angle)
    source = torch.stack([cos * x - sin * y + (width - 1) / 2, sin * x + cos * y + (height - 1) / 2], dim=2)
    size = torch.tensor([width, height])
    samples = OVERSAMPLING * source + len(taps) // 2  # positions in `dense`
    last = torch.tensor([dense.shape[3], dense.shape[2]]) - 1
    grid = (2 * samples / last - 1).to(image)[None]
    moved = functional.grid_sample(dense, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
    valid = ((source >= RADIUS - 0.5) & (source <= size - RADIUS - 0.5)).all(dim=2)
    return moved, valid[None].to(image)


def band_limited(images: Tensor, angles: Tensor) -> Moved:
    """The images of a rotated input, with the frequencies that `rotated` keeps (the pseudo-rotation of appendix E.3).

    Returns:
        See `translated`.
    """
    channels, height, width = images.shape[1:]
    taps = torch.stack([_common_band(float(angle), 1) for angle in angles]).to(images)
    weights = taps[:, None, None].expand(-1, channels, -1, -1, -1).flatten(0, 1)
    margin = taps.shape[-1] // 2
    results = functional.conv2d(images.flatten(0, 1)[None], weights, padding=margin, groups=len(weights))
    valid = images.new_zeros(len(images), 1, height, width)
    valid[:, :, margin : height - margin, margin : width - margin] = 1
    return results[0].unflatten(0, images.shape[:2]), valid


def _common_band(angle: float, rate: int) -> Tensor:
    """Filter for the band of two pixel grids, one of which is rotated counter-clockwise by `angle`.

    The convolution of two sincs, one along each grid, times the convolution of two such Lanczos windows. Both are sums
    over the samples of the filter, as in the published code: at one sample per pixel, the first sinc is an impulse.

    Args:
        rate: samples of the filter per pixel. Each of the rate^2 filters of one sample per pixel sums to 1.

    Returns:
        float64 [T, T] with T = 2 RADIUS rate - 1.
    """
    half = RADIUS * rate - 1
    position = np.arange(-half, half + 1) / rate
    y, x = position[:, None], position[None, :]
    along = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    response = _both_sincs(angle, position) if rate > 1 else np.sinc(along[0]) * np.sinc(along[1])
    spectra = [np.fft.rfft2(_lanczos(a) * _lanczos(b), 2 * [4 * half + 1]) for a, b in ((x, y), along)]
    window = np.fft.irfft2(spectra[0] * spectra[1], 2 * [4 * half + 1])[half : 3 * half + 1, half : 3 * half + 1]
    phases = np.pad(response * window, (1, 0)).reshape(2 * RADIUS, rate, 2 * RADIUS, rate)
    return torch.from_numpy((phases / phases.sum((0, 2), keepdims=True)).reshape(2 * [2 * RADIUS * rate])[1:, 1:])


def _both_sincs(angle: float, position: np.ndarray) -> np.ndarray:
    """Integral of exp(2 pi i (u x + v y)) over |u|, |v| <= 1/2 in both grids: [T, T] at `position`.

    For each v, u fills an interval, whose integral is known; the integral over v is Gauss and Legendre's.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    v, weights = nodes / 2, weights / 2
    low, high = np.full_like(v, -0.5), np.full_like(v, 0.5)
    cos, sin = np.cos(angle), np.sin(angle)
    for a, b in ((cos, -sin), (sin, cos)):  # |a u + b v| <= 1/2
        if abs(a) > 1e-12:
            ends = np.sort([(-0.5 - b * v) / a, (0.5 - b * v) / a], axis=0)
            low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
    length, middle = np.maximum(high - low, 0)[:, None], ((high + low) / 2)[:, None]
    inner = length * np.sinc(length * position) * np.exp(2j * np.pi * middle * position) * weights[:, None]
    outer: np.ndarray = np.exp(2j * np.pi * position[:, None] * v) @ inner
    return outer.real


def _lanczos(t: np.ndarray) -> np.ndarray:
    windowed: np.ndarray = np.where(np.abs(t) < LOBES, np.sinc(t / LOBES), 0)
    return windowed
