"""Style mixing (Karras et al. 2019, figure 3): each cell is the row's image with styles of the column."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.captions import Captions
from stylegen.errors import UserError
from stylegen.latent.mixing import layers_text, mix, parse_layers
from stylegen.latent.sample_figures.figure import Cells, Figure, sampling_text
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class MixingFigure(Figure):
    """Sources in the first row and column.

    Args:
        others: seeds of the columns.
        layers: styles from the column; see `latent.mixing.parse_layers`.
        other_source: `seed_source` of the columns, see `Sampler`; None for the rows' own.
    """

    others: list[int]
    layers: str
    other_source: str | Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        return len(self.seeds) + 1, len(self.others) + 1

    def cells(self, sampler: Sampler) -> Cells:
        """See `Figure`.

        Raises:
            UserError: layers that the network does not have, or a network with one style.
        """
        generator, seeds, others = sampler.generator, self.seeds, self.others
        if generator.num_ws == 1:
            raise UserError(
                "mode=mixing",
                rule="this network has no styles to mix: it uses the latent only at its input",
                fix="Use another mode, or a network whose layers are conditioned on w (generator.conditioning=adain)",
            )
        layers = parse_layers(self.layers, generator.slot_resolutions)
        source = sampler if self.other_source is None else sampler.replaced(seed_source=self.other_source)
        rows, columns = sampler.truncated_ws(seeds), source.truncated_ws(others)
        top, left = sampler.render(columns, others, psi=1), sampler.render(rows, seeds, psi=1)
        cells = [torch.full_like(top[:1], 255), top]
        for i, seed in enumerate(seeds):
            mixed = mix(rows[i : i + 1].expand_as(columns), columns, layers)
            cells += [left[i : i + 1], sampler.render(mixed, [seed] * len(others), psi=1)]
        captions = Captions(
            rows=["", *self.seed_rows],
            columns=["", *[f"seed {seed}" for seed in others]],
            note=f"{layers_text(self.layers, layers)} from the column, all others from the row, "
            f"{sampling_text(sampler)}",
        )
        return Cells(torch.cat(cells), len(others) + 1, captions)
