"""The effect of noise inputs (Karras et al. 2019, figures 4 and 5)."""

from dataclasses import dataclass

import torch

from stylegen.captions import Captions
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler, check_noise

NOISE_SAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class NoiseFigure(Figure):
    """Rows are seeds; columns: no noise, three noise samples, deviation over 100 samples.

    The deviation of gray values is scaled by the figure's maximum, which is white.
    """

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds), NOISE_SAMPLES  # all are in memory at once

    def cells(self, sampler: Sampler) -> Cells:
        """See `Figure`.

        Raises:
            UserError: a network without noise inputs.
        """
        check_noise(
            sampler.generator, "random", "mode=noise", "Use mode=grid, mixing or truncation, or another snapshot"
        )
        ws = sampler.ws(self.seeds)
        samples = [sampler.render(ws, [number] * len(self.seeds), noise="random") for number in range(NOISE_SAMPLES)]
        deviation = torch.stack(samples).float().mean(dim=2, keepdim=True).std(dim=0)
        largest = deviation.max().clamp(min=1e-8)
        white = (deviation / largest * 255).to(torch.uint8)
        columns = [sampler.render(ws, self.seeds, noise="none"), *samples[:3], white.expand_as(samples[0])]
        captions = Captions(
            rows=self.seed_rows,
            columns=["no noise", "noise 1", "noise 2", "noise 3", "deviation"],
            note=f"deviation over {NOISE_SAMPLES} noise samples, white is {largest:.3g} gray levels, "
            + sampling_text(sampler, noise=False),
        )
        return Cells(torch.stack(columns, dim=1).flatten(0, 1), len(columns), captions)
