"""Timing of a walk through seeds: keyframes, constant speed, or a speed that follows a sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from stylegen.bounds import brief
from stylegen.errors import UserError
from stylegen.latent.audio_curves import CURVES
from stylegen.video_file import AUDIO_RATE, Audio

MAX_SECONDS = 36000
_SLOWEST = 1e-9  # speed, relative to the mean: keeps the clock advancing in silence between two keyframes


@dataclass(frozen=True)
class Soundtrack:
    """A sound, and how it steers the walk.

    Args:
        audio: the sound.
        follows: a key of `audio_curves.CURVES`.
        reaction: 0 for constant speed, 1 for speed proportional to the curve.
    """

    audio: Audio
    follows: str
    reaction: float

    def speed(self, fps: Fraction, frames: int) -> np.ndarray:
        """1 - r + r curve / mean(curve) of each frame, float64 [frames], with mean 1; 1 in silence."""
        curve = CURVES[self.follows](self.audio.mono, AUDIO_RATE, float(fps), frames)
        mean = curve.mean()
        return 1 - self.reaction + self.reaction * curve / mean if mean > 0 else np.ones(frames)


@dataclass(frozen=True)
class Timing:
    """The frames at which a walk meets its seeds.

    Args:
        fps: frames per second.
        frames: number of frames from one seed to the next; None for a walk as long as the sound.
        keyframes: time of each seed in seconds, from 0 up, in place of `frames`; for a closed walk also the time of the
            return to the first seed, which otherwise takes the mean of the other intervals.
        closed: return to the first seed, whose frame is not repeated; else end with the last.
        sound: varies the speed, from keyframe to keyframe, or from beginning to end if it determines the length.
    """

    fps: float
    frames: int | None = 24
    keyframes: Sequence[float] | None = None
    closed: bool = True
    sound: Soundtrack | None = None

    @property
    def rate(self) -> Fraction:
        """Frames per second, as typed."""
        return Fraction(str(self.fps))

    def keys(self, count: int) -> list[float]:
        """The frame of each of `count` seeds, then the frame of the return if the walk is closed; the first is 0.

        Raises:
            UserError: keyframes that are not one increasing time for each seed, or a sound that is too short.
        """
        if self.keyframes is not None:
            return self._given_keys(self.keyframes, count)
        intervals = count - (not self.closed)
        if self.frames is not None:
            return [float(k * self.frames) for k in range(intervals + 1)]
        assert self.sound is not None
        last = round(self.sound.audio.seconds * self.rate) - (not self.closed)
        if last < intervals:
            raise UserError(
                f"audio of {self.sound.audio.seconds:.3g} seconds with {count} seeds",
                rule="from one seed to the next there is at least one frame",
                fix="Use fewer seeds, a longer sound, or frames=24",
            )
        return [k * last / intervals for k in range(intervals + 1)]

    def length(self, count: int) -> int:
        """Number of frames of the walk through `count` seeds."""
        return int(self.keys(count)[-1]) + (not self.closed)

    def times(self, count: int) -> np.ndarray:
        """The time on the curve of each frame, float64 [length], in the unit of `keys`.

        Without a sound, frame i has time i. With one, let c be the sum of the speeds of the frames before i: i is
        replaced by the piecewise linear function of c that is exact at the keyframes.
        """
        keys, length = self.keys(count), self.length(count)
        if self.sound is None:
            return np.arange(length, dtype=np.float64)
        last = int(keys[-1])
        fixed = np.array([0, last] if self.frames is None and self.keyframes is None else keys, dtype=int)
        speed = np.maximum(self.sound.speed(self.rate, length)[:last], _SLOWEST)
        clock = np.concatenate([[0.0], np.cumsum(speed)])
        return np.interp(clock, clock[fixed], fixed)[:length]

    def _given_keys(self, times: Sequence[float], count: int) -> list[float]:
        """The frames nearest to the times in seconds."""
        seconds, given = list(times), f"keyframes={','.join(f'{t:g}' for t in times)}"
        if len(seconds) == count and self.closed and count > 1:
            seconds.append(seconds[-1] + (seconds[-1] - seconds[0]) / (count - 1))
        example = f"Use keyframes={','.join(str(2 * k) for k in range(count))}"
        if len(seconds) != count + self.closed:
            more = f"{count} seeds, and one for the return if loop=true" if self.closed else f"{count} seeds"
            raise UserError(given, rule=f"must have one time for each of the {more}", fix=example)
        keys = [float(round(t * self.rate)) for t in seconds]
        if keys[0] != 0 or any(a >= b for a, b in pairwise(keys)):
            raise UserError(
                given,
                rule=f"times in seconds must increase from 0, by at least a frame of 1/{self.fps:g} s",
                fix=example,
            )
        return keys


def parse_times(text: str | None) -> list[float] | None:
    """The seconds of keyframes from a string such as "0,2.5,4"; None for None.

    Raises:
        UserError: a part that is not a number of seconds from 0 to 10 hours.
    """
    if text is None:
        return None
    try:
        times = [float(part) for part in text.split(",")]
    except ValueError:
        times = [math.nan]
    if not all(0 <= t <= MAX_SECONDS for t in times):
        rule = f"must be seconds from 0 to {MAX_SECONDS:,}, separated by commas"
        raise UserError(f"keyframes={brief(text)}", rule=rule, fix="Use keyframes=0,2.5,4 for three seeds")
    return times
