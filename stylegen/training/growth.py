"""Progressive growing (Karras et al. 2018, arXiv 1710.10196, section 2; Karras et al. 2019, appendix C).

Training starts at a low resolution. Each resolution is trained for `stable_kimg`; then the next one fades in over
`fade_kimg` while its weight alpha in the image rises from 0 to 1, up to the resolution of the data:

    start stable | 2 start fades in | 2 start stable | 4 start fades in | ... | resolution of the data, to the end

The schedule is a function of the images seen and has no state to save.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from stylegen.bounds import Kimg, Range, check_arguments
from stylegen.errors import UserError


@dataclass(frozen=True)
class Stage:
    """The schedule at one step.

    Attributes:
        resolution: current side of the images in pixels.
        alpha: weight of the blocks of this resolution in the image, in (0, 1]; 1 in a stable phase.
        batch_size: images per step, over all devices.
        rate: factor on the learning rates.
        phase: number of the stable or fading phase, from 0; each starts with new optimizer state.
    """

    resolution: int
    alpha: float
    batch_size: int
    rate: float
    phase: int


class Growth:
    """images seen -> `Stage`.

    Args:
        resolution: final side of the images in pixels, a power of two.
        batch_size: images per step, unless `batch_sizes` is given.
        start_resolution: a power of two from 4 to `resolution`.
        stable_kimg, fade_kimg: length of the phases in thousands of images; fade_kimg=0 for no fades.
        batch_sizes: images per step at start_resolution and at each doubling; the last value holds for all higher
            resolutions. Empty for `batch_size` at every resolution.
        rates: factors on the learning rates, in the same order; empty for 1.

    Raises:
        UserError: a value out of bounds, an impossible start_resolution, or phases of length 0.
    """

    def __init__(
        self,
        resolution: int,
        batch_size: int,
        start_resolution: Annotated[int, Range(4, 2048)] = 8,
        stable_kimg: Kimg = 600.0,
        fade_kimg: Kimg = 600.0,
        batch_sizes: Annotated[Sequence[int], Range(1, 65536, count=(0, 16))] = (),
        rates: Annotated[Sequence[float], Range(0, 1000, above=True, count=(0, 16))] = (),
    ) -> None:
        check_arguments("growth", Growth, locals())
        self.resolution, self.start_resolution = resolution, start_resolution
        self.batch_sizes, self.rates = list(batch_sizes) or [batch_size], list(rates) or [1.0]
        if not 4 <= start_resolution <= resolution or start_resolution & (start_resolution - 1):
            raise UserError(
                f"growth.start_resolution={start_resolution}",
                rule=f"must be a power of two from 4 to {resolution}, the resolution of the data",
                fix=f"Use growth.start_resolution={min(8, resolution)}, or growth=none",
            )
        self.stable, self.fade = round(stable_kimg * 1000), round(fade_kimg * 1000)
        if self.stable + self.fade == 0:
            raise UserError(
                f"growth.stable_kimg={stable_kimg} growth.fade_kimg={fade_kimg}",
                rule="at least one must be above 0",
                fix="Use growth.stable_kimg=600 growth.fade_kimg=600, as published, or less",
            )

    @property
    def doublings(self) -> int:
        """Resolutions after the first."""
        return self.resolution.bit_length() - self.start_resolution.bit_length()

    @property
    def grown_at(self) -> int:
        """Images seen at the end of the last fade."""
        return self.doublings * (self.stable + self.fade)

    def at(self, images_seen: int) -> Stage:
        """The stage of the step that starts at `images_seen`."""
        level, into = divmod(images_seen, self.stable + self.fade)
        fading = into > self.stable
        if level >= self.doublings:
            level, fading = self.doublings, False
        alpha = (into - self.stable) / self.fade if fading else 1.0
        phase, level = 2 * level + fading, level + fading
        batch_size = self.batch_sizes[min(level, len(self.batch_sizes) - 1)]
        rate = self.rates[min(level, len(self.rates) - 1)]
        return Stage(self.start_resolution << level, alpha, batch_size, rate, phase)

    def stages(self, total_images: int) -> list[Stage]:
        """The first stage of each phase in a run of `total_images`."""
        period = self.stable + self.fade
        starts = [level * period for level in range(self.doublings + 1)]
        starts += [level * period + self.stable + 1 for level in range(self.doublings) if self.fade]
        return [self.at(start) for start in sorted(starts) if start < total_images]

    def batch_at(self, images_seen: int) -> int:
        return self.at(images_seen).batch_size


def real_images(images: Tensor, stage: Stage) -> Tensor:
    """Real images at the resolution of a stage: means of blocks of pixels.

    During a fade they are blended with the next lower resolution by alpha, like generated images.

    Args:
        images: float [N, C, H, H], H a multiple of the stage's resolution.

    Returns:
        [N, C, r, r].
    """
    factor = images.shape[-1] // stage.resolution
    if factor > 1:
        images = F.avg_pool2d(images, factor)
    if stage.alpha == 1:
        return images
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="nearest")
    return coarse.lerp(images, stage.alpha)
