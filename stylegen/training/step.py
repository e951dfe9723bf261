"""One training step of a StyleGAN in plain torch: networks, phases, gradients, optimizers, EMA, clock.

A step walks the phases that are due (for example G main, G path length, D main, D R1). Each computes its gradient,
averages it over ranks, and takes one step of Adam. Then w_avg, the strength of augmentation, the EMA of the generator
and the clock are updated; the clock determines the resolution of growing networks. Saving, printing and evaluation are
in `training.observers`. See docs/plain-loop.md for a training loop of ten lines.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.distributed import average_gradients, mean_over_ranks, rank, sum_over_ranks, world_size
from stylegen.images import to_float
from stylegen.networks import StyleDiscriminator, StyleGenerator
from stylegen.training.freeze import learning_parameters
from stylegen.training.growth import Stage, real_images
from stylegen.training.micro_batch import MicroBatch
from stylegen.training.optimizer import nonfinite_gradients
from stylegen.training.phases import Phase, build_phases, lazy_correction
from stylegen.training.random_inputs import RandomInputs
from stylegen.training.statistics import Statistics
from stylegen.training.step_options import Objective as Objective
from stylegen.training.step_options import StepOptions as StepOptions
from stylegen.training.terms import Evaluate, Measured, evaluate

_CHECK_EVERY = 16  # steps between checks for divergence, which synchronize with the device


class TrainingStep:
    """Trains a generator against a discriminator, one batch at a time.

    Args:
        generator, discriminator: the networks; `G_ema` starts as a copy of the generator.
        objective: losses and augmentation.
        random_inputs: generates latents, labels, noise and augmentation of every step.
        options: optimizers, EMA, precision, growth.

    Attributes:
        G, D, G_ema: the networks; `modules` holds them, loss and regularizers, and names the weights in checkpoints.
        phases: parts of a step, in their order.
        optimizers: one for each network, by "G" and "D".
        images_seen, steps: the clock. Schedules count images, lazy intervals count steps.
        attempt: number of restarts after divergence; part of the key of every random input, so that a restart does
            not repeat the divergence.
        diverged: whether `bad_steps` has been reached.
        learning: the trainable parameters of "G" and "D".
        evaluate: computes a term and its gradient; a compiled form may replace it.
        streaks: [phases], consecutive steps with non-finite gradients of each phase; on the device.
        statistics: means of losses and logits since the last record.
        watch: gives a context for each phase that is due; `bench` measures in it.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        discriminator: StyleDiscriminator,
        objective: Objective,
        random_inputs: RandomInputs,
        options: StepOptions | None = None,
    ) -> None:
        self.options = options = options or StepOptions()
        self.G, self.D = generator, discriminator
        self.G_ema = copy.deepcopy(generator).requires_grad_(False).eval()
        self.loss, self.regularizers = objective.loss, dict(objective.regularizers)
        self.augment, self.blur = objective.augment, objective.blur
        networks = {"G": self.G, "D": self.D, "G_ema": self.G_ema}
        for regularizer in self.regularizers.values():
            regularizer.attach(networks[regularizer.network])
        stateful = {"loss": self.loss, "regularizers": nn.ModuleDict(self.regularizers)}
        self.modules = nn.ModuleDict({**networks, **stateful}).requires_grad_(False)  # until their network's phase
        self.random_inputs, self.growth, self.statistics = random_inputs, options.growth, Statistics()
        self.phases: list[Phase] = build_phases(self.loss, self.regularizers, options.d_steps_per_g_step)
        self.learning = {"G": learning_parameters(self.G), "D": learning_parameters(self.D, frozenset(options.frozen))}
        self.optimizers = {
            network: options.optimizer.build(network, parameters, lazy_correction(self.phases, network))
            for network, parameters in self.learning.items()
        }
        self.images_seen, self.steps, self.attempt, self.diverged = 0, 0, 0, False
        self.streaks = torch.zeros(len(self.phases))
        self._w_means: list[Tensor] = []
        self._magnitudes: list[Tensor] = []
        self.watch: Callable[[Phase], AbstractContextManager[Any]] = nullcontext
        self.evaluate: Evaluate = evaluate
        if options.precision is not None:
            options.precision.attach(self.G, self.D)
        self._set_level()

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Train on one batch.

        Args:
            images: [N, C, H, H], uint8 or float in [-1, 1]: this rank's share of the batch.
            labels: [N, num_classes].
        """
        batch_size = len(images) * world_size()
        batches = self._micro_batches(images, labels)
        self._set_rates()
        for regularizer in self.regularizers.values():
            regularizer.begin_step(self.images_seen)
            regularizer.observe([batch.real for batch in batches])
        for number, phase in enumerate(self.phases):
            if phase.is_due(self.steps):
                with self.watch(phase):
                    self._run(number, phase, batches)
        self._update_averages(batch_size)
        self._adapt_augmentation()
        self.options.ema.update(self.G_ema, self.G, self.images_seen, batch_size)
        self._advance(batch_size)

    def _micro_batches(self, images: Tensor, labels: Tensor) -> list[MicroBatch]:
        """This rank's share in parts. Ranks and parts take every n-th image, so that groups of images (minibatch
        statistics, shrunk batches) are the same as in the whole batch."""
        real = to_float(images) if images.dtype == torch.uint8 else images
        if (stage := self.stage) is not None:
            real = real_images(real, stage)
        real = real.contiguous(memory_format=torch.channels_last)  # as the networks' weights
        indices = self.images_seen + rank() + world_size() * torch.arange(len(images), device=images.device)
        parts = max(len(images) // (self.options.batch_per_device or len(images)), 1)
        return [
            MicroBatch(
                generator=self.G,
                discriminator=self.D,
                real=real[k::parts],
                labels=labels[k::parts],
                indices=indices[k::parts],
                random_inputs=self.random_inputs,
                augment=self.augment,
                blur_sigma=self.blur.sigma_at(self.images_seen),
                downscale=images.shape[-1] // real.shape[-1],
            )
            for k in range(parts)
        ]

    def _set_rates(self) -> None:
        if self.augment is not None:
            self.augment.controller.begin_step(self.images_seen)
        settings, stage = self.options.optimizer, self.stage
        growth = None if stage is None else stage.rate
        for optimizer in self.optimizers.values():
            settings.set_rate(optimizer, self.images_seen, growth)
        if settings.is_scheduled or growth is not None:
            for network, rate in settings.rates(self.images_seen, growth).items():
                self.statistics.report(f"lr/{network}", torch.full((), rate, device=self.device))

    def _run(self, number: int, phase: Phase, batches: list[MicroBatch]) -> None:
        for network, learning in self.learning.items():
            for parameter in learning:
                parameter.requires_grad_(network == phase.network)
        optimizer: Any = self.optimizers[phase.network]
        optimizer.zero_grad(set_to_none=True)
        learning = self.learning[phase.network]
        for measured in phase.backward(batches, learning, self.evaluate):
            self._record(measured)
        parameters = [p for p in learning if p.grad is not None]
        average_gradients(parameters)
        # Fused Adam skips the update if found_inf is 1, without synchronizing with the device. All ranks decide
        # the same, because gradients have been averaged.
        optimizer.found_inf = nonfinite = nonfinite_gradients(parameters)
        self.statistics.report("grad/nonfinite", nonfinite)
        self.streaks[number] = (self.streaks[number] + 1) * nonfinite
        optimizer.step()
        for regularizer in self.regularizers.values():
            if regularizer.network == phase.network:
                regularizer.end_step(self.modules[phase.network])

    def _update_averages(self, batch_size: int) -> None:
        """w_avg, and the magnitudes of layer inputs, from the whole batch of the D main phase."""
        w_avg = self.G.mapping.w_avg
        mean = mean_over_ranks(torch.stack(self._w_means).mean(dim=0)).to(w_avg.dtype)
        w_avg.lerp_(torch.where(mean.isfinite(), mean, w_avg), 1 - self.options.w_avg_decay)
        self._w_means = []
        if self._magnitudes:
            magnitudes = mean_over_ranks(torch.stack(self._magnitudes).mean(dim=0))
            self.G.synthesis.update_magnitudes(magnitudes, batch_size)
            self._magnitudes = []

    def _adapt_augmentation(self) -> None:
        if self.augment is not None:
            self.augment.controller.end_step(sum_over_ranks)
            self.statistics.report("augment/p", torch.full((), self.augment.controller.p, device=self.device))

    def _advance(self, batch_size: int) -> None:
        """Advance the clock and set the resolution of the next step. Each phase of growth starts with new optimizer
        state, as in the published code."""
        before = self.stage
        self.images_seen += batch_size
        self.steps += 1
        if before is not None and self.stage is not None and before.phase != self.stage.phase:
            for optimizer in self.optimizers.values():
                optimizer.state.clear()
        self._set_level()
        if self.steps % _CHECK_EVERY == 0:
            self.diverged = self.diverged or self.in_bad_streak(self.options.bad_steps)

    @property
    def stage(self) -> Stage | None:
        """Resolution, alpha and rate of the next step; None without growth."""
        return None if self.growth is None else self.growth.at(self.images_seen)

    @property
    def device(self) -> torch.device:
        return self.G.mapping.w_avg.device

    def _set_level(self) -> None:
        if (stage := self.stage) is not None:
            networks: tuple[Any, ...] = (self.G, self.D, self.G_ema)
            for network in networks:
                network.set_level(stage.resolution, stage.alpha)

    def _record(self, measured: Measured) -> None:
        for name, value in measured.reports.items():
            self.statistics.report(name, value)
        if measured.w is not None:
            self._w_means.append(measured.w.mean(dim=0))
        if measured.magnitudes is not None:
            self._magnitudes.append(measured.magnitudes)
        if measured.real_logits is not None and self.augment is not None:
            self.statistics.report("augment/sign", measured.real_logits.sign())
            self.augment.controller.observe(measured.real_logits)

    def in_bad_streak(self, length: int = 1) -> bool:
        """Whether any phase has had non-finite gradients for at least `length` steps; synchronizes with the device."""
        return self.streaks.max().item() >= length

    def begin_attempt(self, number: int) -> None:
        """Set the attempt number, which changes all further random inputs."""
        self.attempt = self.random_inputs.attempt = number

    def to(self, *args: Any, **kwargs: Any) -> "TrainingStep":
        """Move or cast the networks, as `nn.Module.to` does; before the first step or `load_state_dict`."""
        self.modules.to(*args, **kwargs)
        self.streaks = self.streaks.to(self.device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """The complete state, as tensors and plain values. Every rank must call it."""
        clock = {"images_seen": self.images_seen, "steps": self.steps, "attempt": self.attempt}
        state = {
            "clock": clock | {"streaks": self.streaks.tolist()},
            "weights": self.modules.state_dict(),
            "optimizers": {network: optimizer.state_dict() for network, optimizer in self.optimizers.items()},
            "statistics": self.statistics.state_dict(),
        }
        if self.augment is not None:
            state["augment"] = self.augment.controller.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, on any number of ranks."""
        self.modules.load_state_dict(state["weights"])
        for network, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][network])
        clock = state["clock"]
        self.images_seen, self.steps = clock["images_seen"], clock["steps"]
        self.begin_attempt(max(self.attempt, clock["attempt"]))
        self.streaks.copy_(torch.tensor(clock["streaks"]))
        self.statistics.load_state_dict(state["statistics"], self.device)
        self._set_level()
        if self.augment is not None:
            self.augment.controller.load_state_dict(state["augment"])
