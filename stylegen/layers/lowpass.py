"""Low-pass filters with a Kaiser window, separable and radially symmetric (Karras et al. 2021, arXiv 2106.12423,
section 3.2 and appendix C.1; Kaiser 1974).

Frequencies are in cycles per unit of length, the side of the image; a signal with sampling rate s has s samples in it.
"""

import math

import numpy as np
import torch
from torch import Tensor


def kaiser_beta(taps: int, width: float, rate: float) -> float:
    """Shape of the window: the attenuation that `taps` samples give at this width of the transition band, as beta.

    Args:
        taps: length of the filter.
        width: width of the transition band, from the end of the pass band to the stop band (2 f_h).
        rate: sampling rate of the filter.
    """
    attenuation = 2.285 * math.pi * (taps - 1) * width / (rate / 2) + 7.95  # in dB
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return float(0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21))
    return 0.0


def lowpass_filter(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor:
    """Kaiser-windowed ideal low-pass filter that sums to one, in float32.

    separable    h(x) = w(x) sinc(2 f_c x), for each axis
    radial       h(x, y) = w(x) w(y) jinc(2 f_c r) with jinc(t) = J_1(pi t) / (pi t), r = sqrt(x^2 + y^2)

    Args:
        taps: length K along an axis.
        cutoff: f_c, below rate / 2.
        width, rate: see `kaiser_beta`.
        radial: the same response in every direction, for equivariance to rotations (section 3.2).

    Returns:
        [K], or [K, K] if radial.
    """
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    window = np.kaiser(taps, kaiser_beta(taps, width, rate))
    if radial:
        response = _jinc(2 * cutoff * np.hypot(x[:, None], x)) * np.outer(window, window)
    else:
        response = np.sinc(2 * cutoff * x) * window
    return torch.from_numpy(response / response.sum()).to(torch.float32)


def _jinc(t: np.ndarray) -> np.ndarray:
    t = np.pi * np.maximum(t, 1e-9)  # the limit at 0 is 1/2
    ratio: np.ndarray = torch.special.bessel_j1(torch.from_numpy(t)).numpy() / t
    return ratio
