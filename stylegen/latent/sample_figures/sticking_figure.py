"""Texture sticking along a walk (Karras et al. 2021, arXiv 2106.12423, figure 1, right)."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.captions import Captions
from stylegen.errors import UserError
from stylegen.latent.interpolation import lerp
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class StickingFigure(Figure):
    """Each row walks from a seed to the next, on the line in w, and shows one column of pixels over time.

    Three cells for each network: the first image, the middle column of the frames side by side, the last image. Detail
    that sticks to the pixels gives horizontal streaks.

    Args:
        frames: frames of a walk; None for as many as an image has columns.
        second: sampler of a second network, with images of the same size.
    """

    frames: int | None = None
    second: Sampler | None = None

    def __post_init__(self) -> None:
        if len(self.seeds) < 2:
            raise UserError(
                "mode=sticking with one seed", rule="a walk has two ends", fix="Use two or more, as in seeds=0-1"
            )

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds) - 1, 3 * (1 + (self.second is not None))

    def cells(self, sampler: Sampler) -> Cells:
        samplers = [sampler, *([self.second] if self.second else [])]
        walks = [[_walk(s, a, b, self.frames) for s in samplers] for a, b in itertools.pairwise(self.seeds)]
        names = [f"{s.generator.name}, " if self.second else "" for s in samplers]
        column = sampler.generator.level.resolution // 2
        captions = Captions(
            rows=[f"{a} to {b}" for a, b in itertools.pairwise(self.seeds)],
            columns=[f"{name}{what}" for name in names for what in ("first", "over time", "last")],
            note=f"column {column} of each frame, side by side; seeds, linear in w, {sampling_text(sampler)}",
        )
        return Cells(torch.cat([cells for row in walks for cells in row]), self.size[1], captions)


def _walk(sampler: Sampler, first: int, last: int, frames: int | None) -> Tensor:
    """The first image, the middle column over time, the last image: uint8 [3, C, H, H]."""
    side = sampler.generator.level.resolution
    a, b = sampler.truncated_ws([first, last])
    times = torch.linspace(
        0, 1, frames or side, device=sampler.device, dtype=torch.promote_types(a.dtype, torch.float32)
    )
    columns, ends = [], []
    for part in times.split(sampler.batch_size):
        images = sampler.render(lerp(a, b, part).to(a.dtype), [first] * len(part), psi=1)
        columns.append(images[..., side // 2])  # [n, C, H]
        ends += [images[:1], images[-1:]]
    over_time = torch.cat(columns).permute(1, 2, 0)  # [C, H, frames]
    shown = torch.arange(side, device=over_time.device) * over_time.shape[2] // side
    return torch.cat([ends[0], over_time[None, :, :, shown], ends[-1]])
