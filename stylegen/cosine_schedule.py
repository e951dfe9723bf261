"""Cosine schedules of settings, as functions of the images seen: they have no state to save."""

import math
from dataclasses import dataclass

from stylegen.errors import UserError


@dataclass(frozen=True)
class CosineSchedule:
    """start + (end - start) (1 - cos(pi s)) / 2, with s = min(t / length, 1) and t the images seen before the step.

    Half a period of a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5), as R3GAN moves its learning
    rate, beta2, gamma, EMA and augmentation (Huang et al. 2024, arXiv 2501.05441, appendix).

    Attributes:
        start: value at the start of the run.
        end: value after `kimg`; None for `start` throughout.
        kimg: length in thousands of images.
    """

    start: float
    end: float | None = None
    kimg: float = 0.0

    @property
    def is_constant(self) -> bool:
        return self.end is None

    def at(self, images_seen: int) -> float:
        """The value for the step that starts at `images_seen`."""
        if self.end is None:
            return self.start
        s = min(images_seen / (self.kimg * 1000), 1.0)
        return self.start + (self.end - self.start) * (1 - math.cos(math.pi * s)) / 2


def cosine_schedule(setting: str, start: float, end: float | None, kimg: float) -> CosineSchedule:
    """The schedule of `setting`, which `setting`_to and `setting`_kimg describe.

    Raises:
        UserError: only one of the two is given.
    """
    if end is not None and kimg == 0:
        raise UserError(
            f"{setting}_to={end:g} {setting}_kimg=0",
            rule="a schedule needs a length above 0",
            fix=f"Add {setting}_kimg=KIMG, for example the length of the run",
        )
    if end is None and kimg > 0:
        raise UserError(
            f"{setting}_kimg={kimg:g}",
            rule=f"without {setting}_to the value does not change",
            fix=f"Add {setting}_to=VALUE, or omit {setting}_kimg",
        )
    return CosineSchedule(start, end, kimg)
