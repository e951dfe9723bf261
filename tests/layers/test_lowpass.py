"""Filters against scipy's design, and their response in frequency."""

import math

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch

from stylegen.layers.lowpass import kaiser_beta, lowpass_filter

# taps, cutoff, width, rate: layers of configuration T, a short filter with low attenuation, an odd one
DESIGNS = [(12, 2.0, 12.0, 32), (24, 8.0, 16.0, 128), (12, 512.0, 236.7, 2048), (4, 2.0, 4.0, 32), (9, 3.0, 8.0, 48)]


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), DESIGNS)
def test_separable_filters_are_kaiser_windowed_sincs(taps: int, cutoff: float, width: float, rate: float) -> None:
    expected = scipy.signal.firwin(taps, cutoff, width=width, fs=rate)
    np.testing.assert_allclose(lowpass_filter(taps, cutoff, width, rate).numpy(), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), DESIGNS)
def test_radial_filters_are_windowed_jincs(taps: int, cutoff: float, width: float, rate: float) -> None:
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (rate / 2)))
    assert kaiser_beta(taps, width, rate) == pytest.approx(beta)
    window = np.kaiser(taps, beta)
    found = lowpass_filter(taps, cutoff, width, rate, radial=True).double().numpy()
    assert found.sum() == pytest.approx(1, abs=1e-6)
    for i in range(taps):
        for j in range(taps):
            r = max(math.hypot(i - (taps - 1) / 2, j - (taps - 1) / 2) / rate, 1e-12)
            value = scipy.special.j1(2 * math.pi * cutoff * r) / (2 * math.pi * cutoff * r) * window[i] * window[j]
            found[i, j] /= value
    np.testing.assert_allclose(found, found.mean(), rtol=1e-3)  # one factor, the normalization


def test_filters_pass_below_the_cutoff_and_stop_beyond_the_band() -> None:
    """A long filter: 1 below f_c - f_h, 1/2 at f_c, 0 above f_c + f_h; the radial one in the diagonal direction too."""
    taps, cutoff, half, rate = 96, 8.0, 4.0, 64
    row = lowpass_filter(taps, cutoff, 2 * half, rate).double()
    disc = lowpass_filter(taps, cutoff, 2 * half, rate, radial=True).double()
    x = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    for frequency, expected in ((2.0, 1.0), (4.0, 1.0), (8.0, 0.5), (12.0, 0.0), (20.0, 0.0)):
        wave = torch.cos(2 * math.pi * frequency * x)
        assert (row * wave).sum() == pytest.approx(expected, abs=0.02)
        diagonal = torch.cos(2 * math.pi * frequency * (x[:, None] + x) / math.sqrt(2))
        assert (disc * diagonal).sum() == pytest.approx(expected, abs=0.06)
        assert (disc * wave).sum() == pytest.approx(expected, abs=0.06)
