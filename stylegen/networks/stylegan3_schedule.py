"""The sequence of signals in StyleGAN3 (Karras et al. 2021, arXiv 2106.12423, section 3.2, "Flexible layer
specifications", and figure 4c): channels, size, sampling rate, cutoff and transition band of each layer's output.
"""

import math
from dataclasses import dataclass

from stylegen.errors import UserError


@dataclass(frozen=True)
class Signal:
    """An intermediate image; frequencies are in cycles per side of the image.

    Attributes:
        channels: feature maps.
        size: side in samples, margins included.
        sampling_rate: s, samples in the side of the image.
        cutoff: f_c, end of the pass band.
        half_width: f_h, half the width of the transition band around the cutoff.
        critical: whether the sampling rate is twice the cutoff, the least possible one.
    """

    channels: int
    size: int
    sampling_rate: int
    cutoff: float
    half_width: float
    critical: bool


@dataclass(frozen=True)
class Schedule:
    """Settings of the sequence of signals; see `Generator`."""

    resolution: int
    channels: int
    channel_base: int
    channel_max: int
    num_layers: int
    num_critical: int
    first_cutoff: float
    first_stopband: float
    last_stopband_rel: float
    margin_size: int

    def check(self) -> None:
        """Raise UserError for cutoffs without a low-pass filter, or layers without feature maps."""
        last = self.resolution / 2
        cases = [
            (
                f"num_critical={self.num_critical} num_layers={self.num_layers}",
                self.num_critical < self.num_layers,
                "critically sampled layers are the last ones, and at least one other comes before them",
                f"num_critical={min(2, self.num_layers - 1)}",
            ),
            (
                f"first_cutoff={self.first_cutoff:g} at {self.resolution} px",
                self.first_cutoff < last,
                f"cutoffs grow from the first to the last one, half the resolution, {last:g}; no filter passes more",
                "first_cutoff=2, as published",
            ),
            (
                f"first_cutoff={self.first_cutoff:g} first_stopband={self.first_stopband:g}",
                max(self.first_cutoff, 0.5) < self.first_stopband <= self.resolution,
                f"a filter's stop band is above its cutoff, here also above 0.5, and at most at {self.resolution}",
                f"first_stopband={min(max(self.first_cutoff, 0.5) * 2**1.1, self.resolution):.5g}, "
                "2^1.1 times the cutoff as published",
            ),
            (
                f"channel_base={self.channel_base} channel_max={self.channel_max}",
                round(min(self.channel_base / 2 / last, self.channel_max)) >= 1,
                f"they give no feature map at {self.resolution} px",
                f"channel_base={self.resolution * 8} or more; StyleGAN3-T uses 32768 with channel_max=512",
            ),
        ]
        for problem, valid, rule, fix in cases:
            if not valid:
                raise UserError(f"generator.{problem}", rule=rule, fix=f"Use generator.{fix}")

    def signals(self) -> list[Signal]:
        """The output of each layer, the RGB layer's last (section 3.2, "Flexible layer specifications").

        f_c[i] = f_c[0] (f_c[N] / f_c[0])^e,  f_t[i] = f_t[0] (f_t[N] / f_t[0])^e,  e = min(i / (N - N_critical), 1)
        s[i] = 2^ceil(log2(min(2 f_t[i], resolution))),  f_h[i] = max(f_t[i], s[i] / 2) - f_c[i]
        """
        self.check()
        last_cutoff = self.resolution / 2
        last_stopband = last_cutoff * self.last_stopband_rel
        found = []
        for i in range(self.num_layers + 1):
            e = min(i / (self.num_layers - self.num_critical), 1)
            cutoff = self.first_cutoff * (last_cutoff / self.first_cutoff) ** e
            stopband = self.first_stopband * (last_stopband / self.first_stopband) ** e
            rate = 2 ** math.ceil(math.log2(min(2 * stopband, self.resolution)))
            is_rgb = i == self.num_layers
            found.append(
                Signal(
                    channels=self.channels if is_rgb else round(min(self.channel_base / 2 / cutoff, self.channel_max)),
                    size=self.resolution if i >= self.num_layers - 1 else rate + 2 * self.margin_size,
                    sampling_rate=rate,
                    cutoff=cutoff,
                    half_width=max(stopband, rate / 2) - cutoff,
                    critical=i >= self.num_layers - self.num_critical,
                )
            )
        return found
