"""Projection: the latents of given images, by optimization.

- "w": one w for all layers (Karras et al. 2020, arXiv 1912.04958, appendix D), from the nearest of some. Noise is added
  to w in the first three quarters, and the noise inputs are optimized too, under a penalty on their autocorrelation, so
  that they cannot carry the image; they are not part of the result.
- "w+": one w for each layer, from the result in W (Abdal et al. 2019, arXiv 1904.03189).
- "pivotal": the w stays, and the generator is trained to give the image (Roich et al. 2021, arXiv 2106.05744).
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.bounds import Range
from stylegen.errors import UserError
from stylegen.latent.matching import Matching
from stylegen.latent.noise_inputs import random_noise, stored_noise
from stylegen.latent.sample_labels import Labels, uniform_labels
from stylegen.latent.seeds import latents
from stylegen.networks import StyleGenerator

_SMALLEST_NOISE = 8  # the penalty's coarsest scale
_W_BATCH = 10_000  # seeds
_START_BATCH = 8  # images of candidates for the start
_REPORT_EVERY = 10  # steps; each report waits for the device
_KEPT_FLOATS = 2**28  # of the targets' vectors in memory during pivotal tuning

Progress = Callable[[str, int, int, str], None]  # phase, steps done, steps in all, mean distance


@dataclass(frozen=True)
class ProjectionOptions:
    """How latents are optimized.

    Args:
        steps: steps in W, and again in W+, for each batch of images.
        learning_rate: Adam's; rises linearly in the first 5 % of the steps, falls as a cosine in the last 25 %.
        w_noise: standard deviation of the noise on w at the start, relative to the standard deviation of w.
        noise_weight: weight of the noise inputs' autocorrelation.
        tuning_steps: steps of pivotal tuning of the generator, for each batch of images.
        tuning_rate: learning rate of pivotal tuning.
        w_samples: number of w for mean and deviation.
        starts: an image's search starts at the nearest of the mean and the first starts - 1 of these w. Appendix D
            starts at the mean, from where some images are not found.
    """

    steps: Annotated[int, Range(1, 100_000)] = 500
    learning_rate: Annotated[float, Range(0, 10)] = 0.1
    w_noise: Annotated[float, Range(0, 10)] = 0.05
    noise_weight: Annotated[float, Range(0, 1e9)] = 1e5
    tuning_steps: Annotated[int, Range(1, 100_000)] = 350
    tuning_rate: Annotated[float, Range(0, 1)] = 3e-4
    w_samples: Annotated[int, Range(2, 1_000_000)] = 10_000
    starts: Annotated[int, Range(1, 1_000_000)] = 256


@dataclass(frozen=True)
class Projector:
    """Finds latents of images.

    Args:
        generator: its parameters must not require gradients.
        matching: the distance of images.
        options: steps, rates and weights of the optimization.
        progress: called after each step.
        watch: called in each step of `to_w` and `to_w_plus`, with the generator's images.
    """

    generator: StyleGenerator
    matching: Matching
    options: ProjectionOptions
    progress: Progress | None = None
    watch: Callable[[Tensor], None] | None = None

    def counted(self, part: int, parts: int) -> "Projector":
        """A projector that reports its steps as one of several parts."""
        if self.progress is None:
            return self
        return dataclasses.replace(self, progress=partial(_report_part, self.progress, part, parts))

    def to_w(self, targets: Tensor, start: "WStatistics") -> Tensor:
        """Styles in W.

        Noise depends on the step only, so an image's result does not depend on the other images of its batch.

        Args:
            targets: [N, C, H, W] in [-1, 1], of the generator's resolution and channels.
            start: w of many seeds.

        Returns:
            [N, L, w_dim], the same w in all layers L.
        """
        G, options = self.generator, self.options
        w = self._nearest(targets, torch.cat([start.mean, start.samples[: options.starts - 1]])).requires_grad_()
        noise = _noise_inputs(G, len(targets))

        def styles(step: int) -> Tensor:
            strength = start.deviation * options.w_noise * max(0.0, 1 - step / options.steps / 0.75) ** 2
            jitter = randomness.normal(0, "project/w", torch.full((1,), step, device=w.device), w.shape[1:]).to(w)
            return (w + strength * jitter).unsqueeze(1).expand(-1, G.num_ws, -1)

        self._minimize("w", targets, [w, *noise], styles, noise)
        return w.detach().unsqueeze(1).repeat(1, G.num_ws, 1)

    def to_w_plus(self, targets: Tensor, ws: Tensor) -> Tensor:
        """Styles in W+ [N, L, w_dim], from `ws`; noise inputs are the stored ones."""
        ws = ws.clone().requires_grad_()
        self._minimize("w+", targets, [ws], lambda step: ws, [])
        return ws.detach()

    @torch.enable_grad()  # type: ignore[no-untyped-call,unused-ignore]
    def tune(self, targets: Tensor, ws: Tensor, batch_size: int) -> StyleGenerator:
        """Pivotal tuning: a copy of the generator whose synthesis network is trained to give `targets` at `ws`.

        A step takes the next `batch_size` images; the loss is the mean of their distances.
        """
        tuned = copy.deepcopy(self.generator).train()
        parameters = [parameter.requires_grad_() for parameter in tuned.synthesis.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.options.tuning_rate)
        parts = list(zip(ws.split(batch_size), targets.split(batch_size), strict=True))
        steps = self.options.tuning_steps * len(parts)
        kept: dict[int, Tensor] = {}
        for step in range(steps):
            part = step % len(parts)
            styles, images = parts[part]
            goals = kept[part] if part in kept else self._goals(images)
            if part not in kept and (part + 1) * goals.numel() <= _KEPT_FLOATS:
                kept[part] = goals
            loss = self.matching.distances(tuned.synthesis(styles, "const"), goals)
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            self._report("pivotal", step + 1, steps, loss)
        _check_finite(parameters, "tuning_rate", self.options.tuning_rate, "3e-4")
        return tuned.eval().requires_grad_(False)

    @torch.enable_grad()  # type: ignore[no-untyped-call,unused-ignore]
    def _minimize(
        self,
        phase: str,
        targets: Tensor,
        variables: Sequence[Tensor],
        styles: Callable[[int], Tensor],
        noise: Sequence[Tensor],
    ) -> None:
        """Adam on the sum of the images' distances, each independent of the others."""
        goals, options = self._goals(targets), self.options
        optimizer = torch.optim.Adam(list(variables))
        for step in range(options.steps):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * rate_factor(step / options.steps)
            images = self.generator.synthesis(styles(step), list(noise) or "const")
            if self.watch is not None:
                self.watch(images)
            loss = self.matching.distances(images, goals)
            penalty = sum((autocorrelation(n) for n in noise), loss.new_zeros(len(loss)))
            optimizer.zero_grad()
            (loss + options.noise_weight * penalty).sum().backward()
            optimizer.step()
            _normalize(noise)
            self._report(phase, step + 1, options.steps, loss)
        _check_finite(variables[:1], "learning_rate", options.learning_rate, "0.1")

    @torch.no_grad()
    def _nearest(self, targets: Tensor, candidates: Tensor) -> Tensor:
        """The candidate [M, w_dim] with the nearest image, for each target: [N, w_dim]."""
        if len(candidates) == 1:
            return candidates.repeat(len(targets), 1)
        goals, rows = self._goals(targets), []
        for w in candidates.split(_START_BATCH):
            vectors = self.matching.embed(
                self.generator.synthesis(w.unsqueeze(1).expand(-1, self.generator.num_ws, -1))
            )
            rows.append(torch.stack([(vectors - goal).square().sum(dim=1) for goal in goals], dim=1))
        return candidates[torch.cat(rows).argmin(dim=0)]

    @torch.no_grad()
    def _goals(self, targets: Tensor) -> Tensor:
        return self.matching.embed(targets)

    def _report(self, phase: str, done: int, total: int, loss: Tensor) -> None:
        if self.progress is not None and (done % _REPORT_EVERY == 0 or done == total):
            self.progress(phase, done, total, f"distance {loss.detach().mean().item():.4f}")


def _report_part(progress: Progress, part: int, parts: int, phase: str, done: int, total: int, text: str) -> None:
    progress(phase, part * total + done, parts * total, text)


class WStatistics(NamedTuple):
    """Some w [M, w_dim], their mean [1, w_dim], and the root of the mean squared distance from it (a scalar)."""

    samples: Tensor
    mean: Tensor
    deviation: Tensor


@torch.no_grad()
def sampled_w(generator: StyleGenerator, count: int, labels: Labels | None = None) -> Tensor:
    """w [count, w_dim] of the seeds 0 to count - 1.

    Args:
        labels: labels of the seeds; None for a random class for each.
    """
    weight, labels = next(generator.parameters()), labels or uniform_labels(generator.num_classes)
    parts = []
    for first in range(0, count, _W_BATCH):
        seeds = list(range(first, min(first + _W_BATCH, count)))
        z = latents(seeds, generator.z_dim, weight.device).to(weight.dtype)
        parts.append(generator.mapping(z, labels(seeds).to(weight.device)))
    return torch.cat(parts)


def w_statistics(generator: StyleGenerator, count: int, labels: Labels | None = None) -> WStatistics:
    """Statistics of `sampled_w`."""
    w = sampled_w(generator, count, labels)
    mean = w.mean(dim=0, keepdim=True)
    return WStatistics(w, mean, (w - mean).square().sum(dim=1).mean().sqrt())


def rate_factor(t: float) -> float:
    """Learning rate at the fraction t of the steps, relative to the largest (appendix D)."""
    return (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))) * min(1.0, t / 0.05)


def autocorrelation(noise: Tensor) -> Tensor:
    """Penalty on noise [N, 1, r, r] that is not white (appendix D): [N].

    The sum of squared means of n * shift(n), shifted by a pixel to the right and down, over scales that halve r to 8.
    """
    total = noise.new_zeros(len(noise))
    while True:
        for axis in (2, 3):
            total = total + (noise * noise.roll(1, axis)).mean(dim=(1, 2, 3)).square()
        if noise.shape[-1] <= _SMALLEST_NOISE:
            return total
        noise = functional.avg_pool2d(noise, 2) * 2  # keeps the variance of white noise


@torch.no_grad()
def _normalize(noise: Sequence[Tensor]) -> None:
    for n in noise:
        n -= n.mean(dim=(2, 3), keepdim=True)
        n *= n.square().mean(dim=(2, 3), keepdim=True).rsqrt()


def _noise_inputs(generator: StyleGenerator, count: int) -> list[Tensor]:
    """White noise for each layer to optimize, the same for each image; empty for a network without noise."""
    if not stored_noise(generator):
        return []
    return [noise.repeat(count, 1, 1, 1).requires_grad_() for noise in random_noise(generator, [0], "project")]


def _check_finite(tensors: Sequence[Tensor], setting: str, value: float, default: str) -> None:
    if not all(tensor.isfinite().all() for tensor in tensors):
        rule = "the optimization diverged to values that are not finite"
        raise UserError(f"{setting}={value:g}", rule=rule, fix=f"Use {setting}={default} or less")
