"""Progressive growing (Karras et al. 2018, arXiv 1710.10196, section 2; Karras et al. 2019, appendix C).

The networks begin at a low resolution. Each resolution is trained for a while as it is; then the next one fades in,
its share alpha of the picture rising from 0 to 1, and so on up to the data's own:

    start stable | 2 start fades in | 2 start stable | 4 start fades in | ... | resolution of the data, to the end

Everything here is a function of the images seen, so a run resumes in the middle of a fade without any state.
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
    """One moment of the schedule.

    Attributes:
        resolution: that the networks work at.
        alpha: share of that resolution's blocks in the picture, in (0, 1]; 1 while nothing fades.
        batch_size: images a step, over all devices.
        rate: factor on the learning rates.
        phase: counts stable and fading phases, from 0; the optimizers begin anew with each.
    """

    resolution: int
    alpha: float
    batch_size: int
    rate: float
    phase: int


class Growth:
    """images seen -> `Stage`.

    Args:
        resolution: of the data.
        batch_size: images a step where `batch_sizes` says nothing.
        start_resolution: that the training begins with.
        stable_kimg, fade_kimg: length of the phases in thousands of images; fade_kimg=0 does not fade.
        batch_sizes: images a step at start_resolution and each doubling of it; the last goes for all above. Empty for
            `batch_size` throughout.
        rates: factors on the learning rates, listed likewise; empty for 1.

    Raises:
        UserError: a value outside its bounds, a start above the data's resolution or no power of two, phases of no
            length.
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
                rule=f"growth begins at a power of two from 4 to the data's {resolution} pixels",
                fix=f"Use growth.start_resolution={min(8, resolution)}, or growth=none",
            )
        self.stable, self.fade = round(stable_kimg * 1000), round(fade_kimg * 1000)
        if self.stable + self.fade == 0:
            raise UserError(
                f"growth.stable_kimg={stable_kimg} growth.fade_kimg={fade_kimg}",
                rule="a resolution is trained with at least one image",
                fix="Use growth.stable_kimg=600 growth.fade_kimg=600, as published, or fewer",
            )

    @property
    def doublings(self) -> int:
        """Resolutions after the first."""
        return self.resolution.bit_length() - self.start_resolution.bit_length()

    @property
    def grown_at(self) -> int:
        """Images seen when the data's resolution has faded in."""
        return self.doublings * (self.stable + self.fade)

    def at(self, images_seen: int) -> Stage:
        """The stage of the step that begins at `images_seen`."""
        level, into = divmod(images_seen, self.stable + self.fade)
        fading = into > self.stable
        if level >= self.doublings:
            level, fading = self.doublings, False
        alpha = (into - self.stable) / self.fade if fading else 1.0
        phase, level = 2 * level + fading, level + fading
        batch_size = self.batch_sizes[min(level, len(self.batch_sizes) - 1)]
        return Stage(self.start_resolution << level, alpha, batch_size, self._rate(level), phase)

    def stages(self, total_images: int) -> list[Stage]:
        """The first moment of every phase that a run of `total_images` meets, as `at` gives it."""
        period = self.stable + self.fade
        starts = [level * period for level in range(self.doublings + 1)]
        starts += [level * period + self.stable + 1 for level in range(self.doublings) if self.fade]
        return [self.at(start) for start in sorted(starts) if start < total_images]

    def batch_at(self, images_seen: int) -> int:
        return self.at(images_seen).batch_size

    def _rate(self, level: int) -> float:
        return self.rates[min(level, len(self.rates) - 1)]


def real_pictures(images: Tensor, stage: Stage) -> Tensor:
    """The dataset's pictures as the discriminator meets them at this stage.

    Averaged over blocks of pixels down to the stage's resolution; in a fade, what the lower resolution cannot show
    is present by the share alpha, as in the generated pictures.

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
