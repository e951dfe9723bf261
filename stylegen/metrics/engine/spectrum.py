"""The average spectra of images and of the reals: measured over all ranks, as numbers for the card and as a figure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylegen import distributed
from stylegen.errors import UserError
from stylegen.figures import BLUE, ORANGE, new_figure, to_png
from stylegen.metrics.engine.fakes import NumberedImages
from stylegen.metrics.engine.reals import Progress
from stylegen.metrics.formulas.average_spectrum import (
    BETA,
    INTERPOLATION,
    MOST_POINTS,
    Whitening,
    decibels,
    pixel_sums,
    power_sum,
    slices,
    whitening_of,
)
from stylegen.spec import ImageSpec

_LOWEST, _HIGHEST = -40, 20  # dB, of the heat maps, as in the paper's figure 5


@dataclass(frozen=True)
class Spectra:
    """Both spectra, as `decibels` returns them.

    Args:
        name: text of the legend.
        num_images, num_reals: numbers of averaged images.
    """

    name: str
    images: Tensor
    reals: Tensor
    whitening: Whitening
    num_images: int
    num_reals: int

    @property
    def side(self) -> int:
        """Of the images, in pixels."""
        return len(self.images) // INTERPOLATION

    def numbers(self) -> dict[str, Any]:
        """For the card: the slices in dB, at most 33 points each, and the choices."""
        found = {
            name: {f"{angle}_degrees": [round(value, 2) for value in values.tolist()] for angle, values in pairs}
            for name, pairs in (
                (key, zip((0, 45), slices(spectrum, MOST_POINTS), strict=True))
                for key, spectrum in (("images", self.images), ("reals", self.reals))
            )
        }
        points = len(found["reals"]["0_degrees"])
        return {
            **found,
            "cycles_per_image": [round(self.side / 2 * k / (points - 1), 4) for k in range(points)],
            "mean": self.whitening.mean,
            "deviation": self.whitening.deviation,
            "num_images": self.num_images,
            "num_reals": self.num_reals,
            "window": f"Kaiser, beta {BETA:g}",
            "interpolation": INTERPOLATION,
        }

    def figure(self) -> bytes:
        """PNG: heat maps of both sets, and their slices at 0 and 45 degrees."""
        figure, axes = new_figure(1, 4, size=(15, 3.6), width_ratios=(1, 1, 1.3, 1.3))
        nyquist = self.side / 2
        sets = ((self.name, self.images, BLUE), ("real images", self.reals, ORANGE))
        for panel, (name, spectrum, _) in zip(axes[0, :2], sets, strict=True):
            extent = (-nyquist, nyquist, -nyquist, nyquist)
            shown = panel.imshow(spectrum.numpy(), cmap="Blues", vmin=_LOWEST, vmax=_HIGHEST, extent=extent)
            panel.set(
                title=name, xlabel="cycles per image", xticks=[-nyquist, 0, nyquist], yticks=[-nyquist, 0, nyquist]
            )
            panel.grid(visible=False)
        figure.colorbar(shown, ax=axes[0, :2], label="dB", shrink=0.9)
        for k, (angle, length) in enumerate(((0, 1.0), (45, 2**0.5))):
            panel = axes[0, 2 + k]
            for name, spectrum, color in sets:
                values = slices(spectrum)[k].numpy()
                panel.plot(torch.linspace(0, nyquist * length, len(values)).numpy(), values, color=color, label=name)
            panel.set(title=f"{angle} degrees", xlabel="cycles per image", ylabel="dB", xlim=(0, nyquist * length))
            panel.legend()
        return to_png(figure)


@dataclass(frozen=True)
class ImageSet:
    """Images by index, of which those with the given numbers are measured.

    Args:
        name: text in the figure and in the progress bar.
        spec: resolution and channels of each image.
    """

    name: str
    images: NumberedImages
    numbers: list[int]
    spec: ImageSpec

    def total(
        self, part: Callable[[Tensor], Tensor], device: torch.device, progress: Progress | None, stage: str
    ) -> Tensor:
        """The sum of `part` of all batches of all ranks, on every rank's CPU; `part` has no images at first."""
        ranks, own = distributed.world_size(), self.numbers[distributed.rank() :: distributed.world_size()]
        device = torch.device("cpu") if device.type == "mps" else device  # which has no float64

        def work() -> Tensor:
            shape = (0, self.spec.channels, self.spec.resolution, self.spec.resolution)
            done, found = 0, part(torch.empty(shape, dtype=torch.uint8, device=device))
            for batch in self.images.batches(own):
                found += part(batch.to(device))
                done += len(batch)
                if progress is not None:
                    progress(f"{stage} of {self.name}", min(done * ranks, len(self.numbers)), len(self.numbers))
            return found

        return distributed.sum_over_ranks(distributed.run_on_all_ranks(work)).cpu()


def measure_spectra(
    images: ImageSet, reals: ImageSet, device: torch.device, progress: Progress | None = None
) -> Spectra:
    """Both spectra, equal on all ranks.

    Raises:
        UserError: real images whose pixels all have one value.
    """
    whitening = whitening_of(reals.total(pixel_sums, device, progress, "pixels"))
    if whitening.deviation == 0:
        raise UserError(
            "spectrum=true",
            rule="spectra are relative to the deviation of the real images' pixels, and they all have one value",
            fix="Use another data.path",
        )

    def spectrum(source: ImageSet) -> Tensor:
        power = source.total(lambda batch: power_sum(batch, whitening), device, progress, "spectrum")
        return decibels(power / len(source.numbers))

    return Spectra(images.name, spectrum(images), spectrum(reals), whitening, len(images.numbers), len(reals.numbers))
