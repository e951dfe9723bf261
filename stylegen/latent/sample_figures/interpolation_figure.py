"""A strip from seed to seed."""

import itertools
from dataclasses import dataclass

import torch

from stylegen.captions import Captions
from stylegen.errors import UserError
from stylegen.latent.interpolation import lerp
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class InterpolationFigure(Figure):
    """Each row goes from a seed to the next, both included, on the line w = (1 - t) w_a + t w_b.

    Args:
        frames: steps of each row.
    """

    frames: int = 8

    def __post_init__(self) -> None:
        if len(self.seeds) < 2:
            raise UserError(
                "mode=interpolation with one seed", rule="a line has two ends", fix="Use two or more, as in seeds=0-3"
            )

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds) - 1, self.frames + 1

    def cells(self, sampler: Sampler) -> Cells:
        ws, t = sampler.truncated_ws(self.seeds), torch.linspace(0, 1, self.frames + 1, device=sampler.device)
        pairs = list(itertools.pairwise(self.seeds))
        rows = [lerp(a, b, t.to(ws.dtype)) for a, b in itertools.pairwise(ws)]
        images = sampler.render(torch.cat(rows), [a for a, _ in pairs for _ in t], psi=1)
        captions = Captions(
            rows=[f"{a} to {b}" for a, b in pairs],
            columns=[f"{k / self.frames:.3g}" for k in range(self.frames + 1)],
            note=f"seeds, linear in w, {sampling_text(sampler)}",
        )
        return Cells(images, self.frames + 1, captions)
