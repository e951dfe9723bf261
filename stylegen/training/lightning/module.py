"""Lightning's training loop around `TrainingStep`: devices and iteration are Lightning's, all else is the step's."""

import lightning as L
import torch
from torch import Tensor

from stylegen.training.observers.schedule import Observers
from stylegen.training.step import TrainingStep


class StyleGANModule(L.LightningModule):
    """Calls the step, then the observers; has no parameters and no state.

    Args:
        step: the networks, their optimizers and the clock.
        observers: what is written between two steps.
    """

    def __init__(self, step: TrainingStep, observers: Observers) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.step, self.observers = step, observers

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []  # the step has its own

    def on_train_start(self) -> None:
        # Lightning installs a SIGTERM handler at the start of fit, which would end this rank without the others
        # (lightning 2.6, trainer/connectors/signal_connector.py). Ours replaces it; Lightning restores at the end of
        # fit what it found before.
        self.observers.stop.signals.install()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        before = self.step.images_seen
        self.step(*batch)
        stop = self.observers.after_step(self.step, before)
        if stop or self.step.diverged:
            self.trainer.should_stop = True
