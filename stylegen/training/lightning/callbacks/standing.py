"""Statistics of batch normalisation for the averaged generator."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch

from stylegen.layers.conditioning import batch_statistics, standing_statistics
from stylegen.training.lightning.callbacks.clock import is_due
from stylegen.training.lightning.module import StyleGANModule

_BATCHES, _BATCH = 16, 32


class StandingStatistics(L.Callback):
    """Takes the average's own statistics (Brock et al. 2019, arXiv 1809.11096, section 4.1) before it draws.

    The running ones, which it copies from the generator that trains, belong to other weights. Training never sees
    these: with the next step the average copies again. Every process takes the same pictures, so none waits for
    another. Does nothing in a network without batch normalisation.

    Args:
        every_kimg: intervals of all that draws with the average; 0 for the end only.
        total_kimg: length of the run.
    """

    def __init__(self, every_kimg: Sequence[float], total_kimg: float) -> None:
        self.intervals, self.total = [round(every * 1000) for every in every_kimg], round(total_kimg * 1000)
        self._before = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, StyleGANModule)
        self._before = pl_module.images_seen
        if pl_module.images_seen == 0:
            self._take(pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StyleGANModule)
        before, self._before = self._before, pl_module.images_seen
        if any(is_due(before, pl_module.images_seen, every, self.total) for every in self.intervals):
            self._take(pl_module)

    @torch.no_grad()
    def _take(self, module: StyleGANModule) -> None:
        G, draws = module.G_ema, module.draws
        if not batch_statistics(G):
            return
        with standing_statistics(G):
            for start in range(0, _BATCHES * _BATCH, _BATCH):
                indices = torch.arange(start, start + _BATCH, device=module.device)
                w = G.mapping(draws.latents("standing", indices), draws.labels("standing", indices))
                noise = draws.noise("standing", indices, G.synthesis.noise_sizes)
                G.synthesis(w.unsqueeze(1).repeat(1, G.num_ws, 1), noise)
