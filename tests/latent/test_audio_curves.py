import numpy as np
import pytest

from stylegen.latent import audio_curves
from stylegen.latent.audio_curves import CURVES, loudness, onset_strength
from tests.support.sounds import RATE, clicks

FPS = 25.0


@pytest.mark.parametrize("name", CURVES)
def test_silence_is_zero_also_after_the_end(name: str) -> None:
    assert not CURVES[name](np.zeros(RATE), RATE, FPS, 50).any()
    assert not CURVES[name](np.zeros(0), RATE, FPS, 3).any()
    after = CURVES[name](0.5 * np.sin(np.arange(RATE)), RATE, FPS, 100)
    assert after[:25].max() > 0
    assert not after[40:].any()


def test_a_tone_that_gets_louder() -> None:
    """The deviation of a sine of amplitude a is a / sqrt(2)."""
    t = np.arange(4 * RATE) / RATE
    found = loudness(t / 4 * np.sin(2 * np.pi * 440 * t), RATE, FPS, 100)
    assert (np.diff(found) > 0).all()
    middles = (np.arange(100) + 0.5) / 100
    np.testing.assert_allclose(found[10:-10], middles[10:-10] / np.sqrt(2), rtol=0.02)


@pytest.mark.parametrize("fps", [10.0, 25.0, 60.0])
def test_onsets_are_at_the_clicks(fps: float) -> None:
    frames = round(3 * fps)
    found = onset_strength(clicks(3, 0.5), RATE, fps, frames)
    inner = found[1:-1]
    peaks = 1 + np.flatnonzero((inner > found[:-2]) & (inner >= found[2:]))
    np.testing.assert_allclose((peaks + 0.5) / fps, [0.5, 1, 1.5, 2, 2.5], atol=0.5 / fps + 0.02)
    assert found.shape == (frames,)


def test_a_steady_tone_has_one_onset() -> None:
    tone = np.concatenate([np.zeros(RATE), 0.5 * np.sin(np.arange(2 * RATE))])
    found = onset_strength(tone, RATE, FPS, 75)
    assert found.argmax() == pytest.approx(25, abs=2)
    assert found[40:70].max() < 0.05 * found.max()


def test_windows_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = onset_strength(clicks(2, 0.3), RATE, FPS, 50)
    monkeypatch.setattr(audio_curves, "_CHUNK", 7)
    np.testing.assert_allclose(onset_strength(clicks(2, 0.3), RATE, FPS, 50), expected, rtol=1e-9)
