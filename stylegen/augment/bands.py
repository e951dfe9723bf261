"""Image-space filtering (Karras et al. 2020a, arXiv 2006.06676, appendix B): four frequency bands, randomly
amplified.

With L(z) = H(z) H(1/z) / 2 the symmetric half-band low-pass of sym2 and U(z) = 1 - L(z) its complement, the bands

    [pi/2, pi] U(z);   [pi/4, pi/2] L(z) U(z^2);   [pi/8, pi/4] L(z) L(z^2) U(z^4);   [0, pi/8] L(z) L(z^2) L(z^4)

sum to one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentInputs
from stylegen.augment.filters import BLOCK, SYM2, band_matrix, cached, filter_height, reflect, windows

OPERATIONS = ("imgfilter",)
NUM_BANDS = 4
_POWER = tuple(power / 13 for power in (10, 1, 1, 1))  # expected for natural images (a 1/f spectrum)


def amplify_bands(images: Tensor, inputs: AugmentInputs, p: float, std: float) -> Tensor:
    """Filter along both axes, with mirrored edges.

    Each band is amplified by 2^(std n), n ~ N(0, 1), with probability p, lowest band first. Then all bands are
    scaled to preserve the expected power of an image.

    Shape: [N, C, H, W] -> the same.
    """
    bands = _band_taps(images.device, images.dtype)
    taps = gains(inputs, p, std).to(images.dtype) @ bands  # [N, K]
    reach = bands.shape[1] // 2
    matrix = band_matrix(taps, BLOCK, BLOCK + 2 * reach, row_step=-1, column_step=1, offset=0)
    matrix = matrix[:, None, None]
    for _ in range(2):
        length = images.shape[2]
        positions = windows(-reach, BLOCK + 2 * reach, BLOCK, -(-length // BLOCK), images.device)
        images = filter_height(images, matrix, reflect(positions, length), length).transpose(2, 3)
    return images.contiguous()


def gains(inputs: AugmentInputs, p: float, std: float) -> Tensor:
    """Factors of the bands [N, 4]."""
    names = [f"imgfilter_{band}" for band in range(NUM_BANDS)]
    normals = torch.stack([inputs.normal(name) for name in names], dim=1)
    gates = torch.stack([inputs.gate(name, p) for name in names], dim=1)
    factors = torch.where(gates, torch.exp2(std * normals), 1.0)
    # Amplifying band i by t scales the power by 1 + P_i (t^2 - 1).
    power = 1 + _power(factors.device, factors.dtype) * (factors.square() - 1)
    return factors / power.prod(dim=1, keepdim=True).sqrt()


@cached
def _power(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(_POWER, device=device, dtype=dtype)


@cached
def _band_taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[4, 43], lowest band first, each centered."""
    taps = torch.tensor(SYM2, dtype=torch.float64)
    low = _convolve(taps, taps.flip(0))  # sum one
    unit = torch.zeros_like(low)
    unit[len(low) // 2] = 1
    bands, passed = [], torch.ones(1, dtype=torch.float64)
    for octave in range(NUM_BANDS - 1):
        step = 2**octave
        bands.append(_convolve(passed, _spread(unit - low, step)))
        passed = _convolve(passed, _spread(low, step))
    bands.append(passed)
    return torch.stack([_centered(band, len(passed)) for band in reversed(bands)]).to(dtype).to(device)


def _convolve(a: Tensor, b: Tensor) -> Tensor:
    """Product of two polynomials in z."""
    size = len(a) + len(b) - 1
    return band_matrix(a, size, len(b), row_step=1, column_step=-1, offset=0) @ b


def _spread(taps: Tensor, step: int) -> Tensor:
    """z -> z^step."""
    spread = taps.new_zeros((len(taps) - 1) * step + 1)
    spread[::step] = taps
    return spread


def _centered(taps: Tensor, size: int) -> Tensor:
    margin = (size - len(taps)) // 2
    return F.pad(taps, (margin, margin))
