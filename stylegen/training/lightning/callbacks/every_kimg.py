"""A callback that acts every so many images. Callbacks observe; what changes the algorithm is none."""

from abc import ABC, abstractmethod
from typing import Any

import lightning as L

from stylegen.training.lightning.callbacks.clock import is_due
from stylegen.training.lightning.module import StyleGANModule


class EveryKimg(L.Callback, ABC):
    """Calls `act` every `every_kimg` thousand images, at the end, and at the start if `at_start`, on every rank.

    Args:
        every_kimg: interval; 0 for the end only.
        total_kimg: length of the run.
        at_start: also before the first step of a new run (not of a resumed one).
    """

    def __init__(self, every_kimg: float, total_kimg: float, at_start: bool = False) -> None:
        self.every, self.total = round(every_kimg * 1000), round(total_kimg * 1000)
        self.at_start = at_start
        self._before = 0

    @abstractmethod
    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        """What is done when it is time."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, StyleGANModule)
        self._before = pl_module.images_seen
        if self.at_start and pl_module.images_seen == 0:
            self.act(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StyleGANModule)
        before, self._before = self._before, pl_module.images_seen
        if is_due(before, pl_module.images_seen, self.every, self.total):
            self.act(trainer, pl_module)
