"""Trains from the current clock to the end of the run, in Lightning's loop.

Each rank is one process with one device; the process group exists already (`stylegen.distributed.process_group`).
Lightning sees a single device: the step averages gradients, and `training.checkpoint_io` writes checkpoints. Its
distributed strategies, launchers, checkpoint format and epoch counters are not used.
"""

import contextlib
import logging
import warnings
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from stylegen.training.batches import TrainingData
from stylegen.training.observers.schedule import Observers
from stylegen.training.step import TrainingStep


class StyleGANModule(L.LightningModule):
    """`TrainingStep` as a LightningModule with manual optimization; has no parameters and no state.

    Args:
        step: the networks, their optimizers and the clock.
    """

    def __init__(self, step: TrainingStep) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.step = step

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []  # the step has its own

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.step(*batch)


class ObserverCallback(L.Callback):
    """Runs the observers after every training step: grids, snapshots, evaluation (FID, IS, ...), log, checkpoints.

    Args:
        step: trained by the module.
        observers: called after each step, see `Observers.after_step`.

    Attributes:
        ended: a stop request or a divergence has ended the training.
    """

    def __init__(self, step: TrainingStep, observers: Observers) -> None:
        self.step, self.observers, self._before = step, observers, step.images_seen
        self.ended = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Lightning installs a SIGTERM handler at the start of fit, which would end this rank without the others
        # (lightning 2.6, trainer/connectors/signal_connector.py). Ours replaces it; at the end of fit, Lightning
        # restores the handlers from before.
        self.observers.stop.signals.install()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self.observers.after_step(self.step, self._before)
        self._before = self.step.images_seen
        if stop or self.step.diverged:
            self.ended = trainer.should_stop = True


def fit(step: TrainingStep, data: TrainingData, observers: Observers, device: torch.device) -> None:
    """Train until `data.total_images`, a divergence, or a stop request.

    Args:
        step: networks and optimizers on `device`, new or restored by `load_state_dict`.
        data: the training images; loading starts at image `step.images_seen`.
        observers: called before the first step and after each one.
        device: this rank's GPU, or the CPU.
    """
    with observers, warnings.catch_warnings():
        observers.before_training(step)
        callback = ObserverCallback(step, observers)
        while not callback.ended and len(batches := data.batches(step.images_seen, step.attempt, device)):
            # Lightning notes a SIGTERM between its handler and ours too, and raises this after the first step, also
            # where the ranks stop together later.
            with contextlib.suppress(SIGTERMException):
                _trainer(device, callback).fit(StyleGANModule(step), batches)


def _trainer(device: torch.device, callback: L.Callback) -> L.Trainer:
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):  # hide notes on hardware, and tips
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")  # trainer.accelerator=cpu
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # lightning 2.6's use of torch
    return L.Trainer(
        accelerator=device.type,
        devices=1,
        strategy=SingleDeviceStrategy(device),
        plugins=[LightningEnvironment()],  # disables Lightning's detection of SLURM and torchrun
        callbacks=[callback],
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
