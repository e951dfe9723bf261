"""The one place where networks, losses, regularisers, average and optimizers meet.

A step walks the phases that are due. The clock is `images_seen`; lazy intervals count `steps`. Both are the module's
own and travel in the checkpoint: Lightning's `global_step` counts optimizer steps, of which a step makes two to four.
"""

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from stylegen.augment import Augmentation
from stylegen.distributed import average_gradients, mean_over_ranks, sum_over_ranks
from stylegen.images import to_float
from stylegen.losses import Loss
from stylegen.networks import StyleGenerator
from stylegen.regularizers import Regularizer
from stylegen.training.ema import EMA
from stylegen.training.freeze import learning_parameters
from stylegen.training.growth import Growth, real_pictures
from stylegen.training.optimizer import AdamSettings, nonfinite_gradients
from stylegen.training.phases import Phase, Step, build_phases, lazy_correction
from stylegen.training.precision import Precision
from stylegen.training.random_inputs import Draws
from stylegen.training.statistics import Statistics

_LOOK_EVERY = 16  # steps between two looks at the streaks, each of which waits for the device


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
        batch_per_device: pictures in memory at a time, a divisor of this rank's share; None for the whole share.
        precision: of the networks while they train; the average stays in float32.
        bad_steps: the training has diverged after so many steps in a row without finite gradients.
        growth: schedule of the level at which the networks stand; None leaves them as they are.
        frozen: names of the discriminator's parameters that keep their values; they get no gradient.

    Batches: (pictures [N, C, H, W], uint8 or float in [-1, 1]; labels [N, num_classes]), this rank's share.

    Attributes:
        images_seen, steps: the clock.
        learning: the parameters of "G" and "D" that learn.
        attempt: how often the run went back to an earlier checkpoint; enters the keys of all random inputs, so that
            it does not take the same way into the same trouble again.
        diverged: True once `bad_steps` is reached; the training then stops.
    """

    streaks: Tensor

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
        batch_per_device: int | None = None,
        precision: Precision | None = None,
        bad_steps: int = 16,
        growth: Growth | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.G, self.D = generator, discriminator
        self.G_ema = copy.deepcopy(generator).requires_grad_(False).eval()
        self.regularizers = nn.ModuleDict(regularizers)
        self.draws, self.ema, self.augment, self.statistics = draws, ema, augment, Statistics()
        self.optimizer_settings, self.w_avg_decay = optimizer, w_avg_decay
        self.learning = {"G": learning_parameters(self.G), "D": learning_parameters(self.D, frozenset(frozen))}
        self.requires_grad_(False)  # until the phase of their network
        self.phases: list[Phase] = build_phases(loss, list(regularizers.items()))
        self.batch_per_device, self.bad_steps = batch_per_device, bad_steps
        self.images_seen, self.steps, self.attempt, self.diverged = 0, 0, 0, False
        # How often in a row each phase had no finite gradient; on the device, so that counting waits for nothing.
        self.register_buffer("streaks", torch.zeros(len(self.phases)), persistent=False)
        self._w_means: list[Tensor] = []
        if precision is not None:
            precision.attach(self.G, self.D)
        self.growth = growth
        self._stand()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer_settings.build(network, parameters, lazy_correction(self.phases, network))
            for network, parameters in self.learning.items()
        ]

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> int | None:
        """Lightning ends the run at -1: a batch without pictures comes where nothing but a score is owed."""
        return None if len(batch[0]) else -1

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        batch_size = len(batch[0]) * self.trainer.world_size
        optimizers = dict(zip(("G", "D"), self.optimizers(), strict=True))
        steps = self._micro_batches(*batch)
        growth = None if self.growth is None else self.growth.at(self.images_seen).rate
        if self.optimizer_settings.is_scheduled or growth is not None:
            for network, rate in self.optimizer_settings.rates(self.images_seen, growth).items():
                self.statistics.report(f"lr/{network}", torch.tensor(rate, device=self.device))
        for number, phase in enumerate(self.phases):
            if self.steps % phase.interval == 0:
                self._run(number, phase, steps, optimizers[phase.network])
        self._move_w_avg()
        if self.augment is not None:
            self.augment.controller.end_step(sum_over_ranks)
            self.statistics.report("augment/p", torch.tensor(self.augment.controller.p, device=self.device))
        self.ema.update(self.G_ema, self.G, self.images_seen, batch_size)
        self._advance(batch_size, optimizers.values())
        if self.steps % _LOOK_EVERY == 0 and self.in_bad_streak(self.bad_steps):
            self.diverged = self.trainer.should_stop = True

    def _advance(self, batch_size: int, optimizers: Iterable[Any]) -> None:
        """Move the clock, and with it the level: what is drawn, scored or saved now stands where a continued run will.

        With each phase of the schedule the optimizers forget, as the published code's do.
        """
        before = self.images_seen
        self.images_seen += batch_size
        self.steps += 1
        if self.growth is not None and self.growth.at(before).phase != self.growth.at(self.images_seen).phase:
            for optimizer in optimizers:
                optimizer.optimizer.state.clear()
        self._stand()

    def _stand(self) -> None:
        """Put the networks at the level of this moment."""
        if self.growth is not None:
            stage = self.growth.at(self.images_seen)
            networks: tuple[Any, ...] = (self.G, self.D, self.G_ema)
            for network in networks:
                network.set_level(stage.resolution, stage.alpha)

    def _micro_batches(self, images: Tensor, labels: Tensor) -> list[Step]:
        """This rank's share in parts. Ranks and parts take every n-th picture, so that groups of pictures (minibatch
        statistics, shrunk batches) are those of one whole batch."""
        real = to_float(images) if images.dtype == torch.uint8 else images
        if self.growth is not None:
            real = real_pictures(real, self.growth.at(self.images_seen))
        real = real.contiguous(memory_format=torch.channels_last)  # as the networks' weights
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        indices = self.images_seen + rank + ranks * torch.arange(len(images), device=images.device)
        parts = max(len(images) // (self.batch_per_device or len(images)), 1)
        watchers = (self.statistics.report, self._note_w, self._note_logits)
        return [
            Step(
                *(self.G, self.D, real[k::parts], labels[k::parts], indices[k::parts]),
                *(self.draws, *watchers),
                augment=self.augment,
                downscale=images.shape[-1] // real.shape[-1],
            )
            for k in range(parts)
        ]

    def _run(self, number: int, phase: Phase, steps: list[Step], optimizer: Any) -> None:
        for network, parameters in self.learning.items():
            for parameter in parameters:
                parameter.requires_grad_(network == phase.network)
        rate = None if self.growth is None else self.growth.at(self.images_seen).rate
        self.optimizer_settings.set_rate(optimizer.optimizer, self.images_seen, rate)
        optimizer.zero_grad(set_to_none=True)
        phase.backward(steps)
        parameters = [p for p in self.learning[phase.network] if p.grad is not None]
        average_gradients(parameters)
        # Adam's fused kernel leaves weights and moments alone where this says 1: no wait for the device, and the same
        # decision on all ranks, because it is taken after the average.
        found = nonfinite_gradients(parameters)
        optimizer.optimizer.found_inf = found
        self.statistics.report("grad/nonfinite", found)
        self.streaks[number] = (self.streaks[number] + 1) * found
        optimizer.step()

    def in_bad_streak(self, length: int = 1) -> bool:
        """Whether the last `length` steps or more of any phase had no finite gradient; waits for the device."""
        return self.streaks.max().item() >= length

    def begin_attempt(self, number: int) -> None:
        """Draw other random inputs from here on."""
        self.attempt = self.draws.attempt = number

    def _note_w(self, w: Tensor) -> None:
        self._w_means.append(w.mean(dim=0))

    def _note_logits(self, real_logits: Tensor) -> None:
        if self.augment is not None:
            self.statistics.report("augment/sign", real_logits.sign())
            self.augment.controller.observe(real_logits)

    def _move_w_avg(self) -> None:
        average = self.G.mapping.w_avg
        mean = mean_over_ranks(torch.stack(self._w_means).mean(dim=0)).to(average.dtype)
        average.lerp_(torch.where(mean.isfinite(), mean, average), 1 - self.w_avg_decay)
        self._w_means = []

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        clock = {"images_seen": self.images_seen, "steps": self.steps, "attempt": self.attempt}
        checkpoint["clock"] = clock | {"streaks": self.streaks.tolist()}
        if self.augment is not None:
            checkpoint["augment"] = self.augment.controller.state_dict()
        # Lightning's own loop counters would fast-forward an epoch that our data order does not know.
        checkpoint.pop("loops", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        clock = checkpoint["clock"]
        self.images_seen, self.steps = clock["images_seen"], clock["steps"]
        self.begin_attempt(max(self.attempt, clock["attempt"]))
        self.streaks.copy_(torch.tensor(clock["streaks"]))
        self._stand()
        if self.augment is not None:
            self.augment.controller.load_state_dict(checkpoint["augment"])
