"""How loud a sound is, and where notes begin, per frame of a video: functions on arrays."""

import math

import numpy as np

_SMOOTH_SECONDS = 0.08  # deviation of the Gaussian
_WINDOW_SECONDS = 0.021  # 1024 samples at 48 kHz
_CHUNK = 4096  # windows at a time
_COMPRESSION = 100.0


def loudness(samples: np.ndarray, rate: int, fps: float, frames: int) -> np.ndarray:
    """Root mean square of the samples of each frame, smoothed by a Gaussian of 0.08 s.

    Args:
        samples: [N], mono; silence follows.
        rate: samples per second.
        fps: frames per second.

    Returns:
        float64 [frames], at least 0.
    """
    starts = np.round(np.arange(frames + 1) * rate / fps).astype(int)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    sums = np.diff(energy[np.minimum(starts, len(samples))])
    return _smooth(np.sqrt(sums / np.diff(starts)), fps)


def onset_strength(samples: np.ndarray, rate: int, fps: float, frames: int) -> np.ndarray:
    """Spectral flux of each frame, smoothed by a Gaussian of 0.08 s (Dixon 2006, Onset Detection Revisited, section 2).

    The flux of window n is sum_k max(0, Y(n, k) - Y(n - 1, k)) over the frequencies k, where Y = log(1 + 100 |X|) and X
    is the Fourier transform under a Hann window of 21 ms (a power of two samples), half of which is the next window's.
    A frame has the sum of the windows whose centers it contains.

    Args:
        samples: [N], mono, in [-1, 1]; silence follows.
        rate: samples per second.
        fps: frames per second.

    Returns:
        float64 [frames], at least 0.
    """
    length = 2 ** round(math.log2(_WINDOW_SECONDS * rate))
    padded = np.pad(np.asarray(samples, dtype=np.float32), length)
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 2]
    hann = np.hanning(length + 1)[:-1].astype(np.float32)
    flux, before = [], np.zeros((1, length // 2 + 1))
    for start in range(0, len(windows), _CHUNK):
        spectrum = np.abs(np.fft.rfft(windows[start : start + _CHUNK] * hann)) * 2 / hann.sum()
        levels = np.concatenate([before, np.log1p(_COMPRESSION * spectrum)])
        flux.append(np.maximum(np.diff(levels, axis=0), 0).sum(axis=1))
        before = levels[-1:]
    centers = (np.arange(len(windows)) - 1) * (length // 2)
    inside = np.clip((centers * fps / rate).astype(int), 0, None)
    return _smooth(np.bincount(inside, np.concatenate(flux), minlength=frames)[:frames], fps)


def _smooth(curve: np.ndarray, fps: float) -> np.ndarray:
    """Convolution with a Gaussian; the first and last values continue beyond the ends."""
    radius = int(np.ceil(3 * _SMOOTH_SECONDS * fps))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / (_SMOOTH_SECONDS * fps)) ** 2)
    return np.convolve(np.pad(curve, radius, mode="edge"), weights / weights.sum(), mode="valid")


CURVES = {"loudness": loudness, "onsets": onset_strength}
