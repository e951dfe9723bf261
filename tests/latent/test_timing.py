import math
from itertools import pairwise

import numpy as np
import pytest

from stylegen.errors import UserError
from stylegen.latent.timing import Soundtrack, Timing, parse_times
from stylegen.video_file import AUDIO_RATE, Audio


def louder(seconds: float, reaction: float = 1.0, level: float = 1.0) -> Soundtrack:
    t = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    return Soundtrack(Audio((level * t / seconds * np.sin(3000 * t))[None].astype(np.float32)), "loudness", reaction)


def test_frames_between_seeds() -> None:
    assert Timing(25, frames=3).keys(4) == [0, 3, 6, 9, 12]
    assert Timing(25, frames=3).length(4) == 12
    assert Timing(25, frames=3, closed=False).keys(4) == [0, 3, 6, 9]
    assert Timing(25, frames=3, closed=False).length(4) == 10  # both ends
    assert Timing(25, frames=3).times(2).tolist() == [0, 1, 2, 3, 4, 5]


def test_keyframes_are_on_frames() -> None:
    times = [0, 2.5, 4.01]
    assert Timing(10, keyframes=times, closed=False).keys(3) == [0, 25, 40]
    assert Timing(10, keyframes=[0, 1, 4]).keys(3) == [0, 10, 40, 60]  # the return takes the mean of 1 s and 3 s
    assert Timing(10, keyframes=[0, 1, 4, 5]).keys(3) == [0, 10, 40, 50]


@pytest.mark.parametrize("times", [[0, 1], [0, 1, 2, 3, 4], [1, 2, 3], [0, 2, 1], [0, 1, 1.01], [0, 0, 1]])
def test_keyframes_that_do_not_fit(times: list[float]) -> None:
    with pytest.raises(UserError, match="Use keyframes=0,2,4"):
        Timing(10, keyframes=times).keys(3)


def test_texts_of_times() -> None:
    assert parse_times("0,2.5, 4") == [0, 2.5, 4]
    assert parse_times(None) is None
    for text in ("", "0,x", "0,nan", "0,inf", "-1,2"):
        with pytest.raises(UserError, match="keyframes="):
            parse_times(text)


@pytest.mark.parametrize("closed", [True, False])
def test_a_sound_determines_length_and_speed(closed: bool) -> None:
    """Loudness proportional to t: with reaction 1 the position is proportional to t^2, with r to (1 - r) t + r t^2."""
    for reaction in (0.0, 0.5, 1.0):
        timing = Timing(25, frames=None, closed=closed, sound=louder(4, reaction))
        last = 100 if closed else 99
        assert timing.length(3) == 100
        assert (timing.keys(3)[0], timing.keys(3)[-1]) == (0, last)
        times = timing.times(3)
        share = np.arange(100) / last
        np.testing.assert_allclose(times / last, (1 - reaction) * share + reaction * share**2, atol=0.01)
        assert (times[0], len(times)) == (0, 100)
        assert closed or times[-1] == last


def test_silence_gives_constant_speed() -> None:
    times = Timing(25, frames=None, sound=louder(2, level=0)).times(2)
    np.testing.assert_allclose(times, np.arange(50), atol=1e-9)


@pytest.mark.parametrize(("frames", "keyframes"), [(20, None), (None, [0, 0.4, 2])])
def test_keyframes_and_a_sound(frames: int | None, keyframes: list[float] | None) -> None:
    """The sound varies the speed between keyframes only, and is silent after its end."""
    timing = Timing(25, frames=frames, keyframes=keyframes, sound=louder(1))
    keys, times = timing.keys(3), timing.times(3)
    for a, b in pairwise(int(key) for key in keys):
        assert times[a] == a
        assert (np.diff(times[a : b + 1]) > 0).all()
    assert np.abs(times - np.arange(len(times))).max() > 0.5
    assert np.isfinite(times).all()


def test_a_short_sound_is_refused() -> None:
    with pytest.raises(UserError, match="at least one frame"):
        Timing(25, frames=None, sound=louder(0.1)).keys(4)


def test_the_rate_is_what_was_typed() -> None:
    assert Timing(23.976).rate * 1000 == 23976
    assert math.isclose(Timing(30.0).rate, 30)
