"""The one place where networks, losses, regularisers, average and optimizers meet.

A step walks the phases that are due. The clock is `images_seen`; lazy intervals count `steps`. Both are the module's
own and travel in the checkpoint: Lightning's `global_step` counts optimizer steps, of which a step makes two to four.
"""

import copy
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from stylegen.augment import Augmentation
from stylegen.images import to_float
from stylegen.losses import Loss
from stylegen.networks import StyleGenerator
from stylegen.regularizers import Regularizer
from stylegen.training.draws import Draws
from stylegen.training.ema import EMA
from stylegen.training.optimizer import AdamSettings, nonfinite_gradients
from stylegen.training.phases import Phase, Step, build_phases, lazy_correction
from stylegen.training.statistics import Statistics
from stylegen.training.strategy import average_gradients, mean_over_ranks, sum_over_ranks


class StyleGANModule(L.LightningModule):
    """Trains a generator against a discriminator.

    Args:
        generator, discriminator: the networks; the average `G_ema` starts as a copy of the generator.
        loss: both sides of the adversarial loss.
        regularizers: by name; each brings its own interval.
        draws: the random inputs of every step.
        ema: how the average moves.
        optimizer: Adam's settings, before the correction for lazy terms.
        w_avg_decay: share of the running mean of w that one D main phase keeps.
        augment: of what the discriminator sees; its strength adapts and travels in the checkpoint.

    Batches: (pictures [N, C, H, W], uint8 or float in [-1, 1]; labels [N, num_classes]), this rank's share.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        discriminator: nn.Module,
        loss: Loss,
        regularizers: Mapping[str, Regularizer],
        draws: Draws,
        ema: EMA,
        optimizer: AdamSettings,
        w_avg_decay: float = 0.998,
        augment: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.G, self.D = generator, discriminator
        self.G_ema = copy.deepcopy(generator).requires_grad_(False).eval()
        self.regularizers = nn.ModuleDict(regularizers)
        self.draws, self.ema, self.augment, self.statistics = draws, ema, augment, Statistics()
        self.optimizer_settings, self.w_avg_decay = optimizer, w_avg_decay
        self.phases: list[Phase] = build_phases(loss, list(regularizers.items()))
        self.images_seen = 0
        self.steps = 0

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer_settings.build(network, net.parameters(), lazy_correction(self.phases, network))
            for network, net in (("G", self.G), ("D", self.D))
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        real = to_float(images) if images.dtype == torch.uint8 else images
        real = real.contiguous(memory_format=torch.channels_last)  # as the networks' weights
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        indices = self.images_seen + rank + ranks * torch.arange(len(images), device=images.device)
        step = Step(
            *(self.G, self.D, real, labels, indices),
            *(self.draws, self.statistics.report, self._track_w),
            augment=self.augment,
        )
        optimizers = dict(zip(("G", "D"), self.optimizers(), strict=True))
        for phase in self.phases:
            if self.steps % phase.interval == 0:
                self._run(phase, step, optimizers[phase.network])
        if self.augment is not None:
            self.augment.controller.end_step(sum_over_ranks)
            self.statistics.report("augment/p", torch.tensor(self.augment.controller.p, device=real.device))
        batch_size = len(images) * ranks
        self.ema.update(self.G_ema, self.G, self.images_seen, batch_size)
        self.images_seen += batch_size
        self.steps += 1

    def _run(self, phase: Phase, step: Step, optimizer: Any) -> None:
        self.G.requires_grad_(phase.network == "G")
        self.D.requires_grad_(phase.network == "D")
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(phase.loss(step))
        parameters = [p for p in getattr(self, phase.network).parameters() if p.grad is not None]
        average_gradients(parameters)
        # Adam's fused kernel leaves weights and moments alone where this says 1: no wait for the device, and the same
        # decision on all ranks, because it is taken after the average.
        optimizer.optimizer.found_inf = nonfinite_gradients(parameters)
        self.statistics.report("grad/nonfinite", optimizer.optimizer.found_inf)
        optimizer.step()

    def _track_w(self, w: Tensor) -> None:
        average = self.G.mapping.w_avg
        mean = mean_over_ranks(w.mean(dim=0)).to(average.dtype)
        average.lerp_(torch.where(mean.isfinite(), mean, average), 1 - self.w_avg_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["clock"] = {"images_seen": self.images_seen, "steps": self.steps}
        if self.augment is not None:
            checkpoint["augment"] = self.augment.controller.state_dict()
        # Lightning's own loop counters would fast-forward an epoch that our data order does not know.
        checkpoint.pop("loops", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen, self.steps = checkpoint["clock"]["images_seen"], checkpoint["clock"]["steps"]
        if self.augment is not None:
            self.augment.controller.load_state_dict(checkpoint["augment"])
