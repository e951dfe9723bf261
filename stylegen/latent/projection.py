"""Projection: the latents of given images, by optimization.

- "w": one w for all layers (Karras et al. 2020, arXiv 1912.04958, appendix D). Noise is added to w in the first three
  quarters, and the noise inputs are optimized too, under a penalty on their autocorrelation, so that they cannot carry
  the image; they are not part of the result.
- "w+": one w for each layer, from the result in W (Abdal et al. 2019, arXiv 1904.03189).
- "pivotal": the w stays, and the generator is trained to give the image (Roich et al. 2021, arXiv 2106.05744).
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.bounds import Range
from stylegen.latent.sample_labels import Labels, uniform_labels
from stylegen.latent.seeds import latents
from stylegen.networks import StyleGenerator

_SMALLEST_NOISE = 8  # the penalty's coarsest scale
_PYRAMID_TO = 8  # pixels

Progress = Callable[[str, int, int, str], None]  # phase, steps done, steps in all, mean distance


class Embedding(Protocol):
    """A differentiable map of images [N, C, H, W] in [-1, 1] to vectors; distances are squared Euclidean ones."""

    def embed(self, images: Tensor) -> Tensor:
        """-> [N, K]."""
        ...


@dataclass(frozen=True)
class Matching:
    """The distance of two images that is minimized: perceptual + pixel_weight * pixels.

    pixels = mean over scales of the mean squared difference, each scale half the last, down to 8 px.

    Args:
        perceptual: such as LPIPS.
        pixel_weight: of the differences of pixels, in [-1, 1].
    """

    perceptual: Embedding
    pixel_weight: float = 1.0

    def embed(self, images: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> [N, K]."""
        scales = list(_pyramid(images))
        pixels = [(x * math.sqrt(self.pixel_weight / (x[0].numel() * len(scales)))).flatten(1) for x in scales]
        return torch.cat([self.perceptual.embed(images), *pixels], dim=1)


def _pyramid(images: Tensor) -> Iterator[Tensor]:
    yield images
    while images.shape[-1] > _PYRAMID_TO:
        images = functional.avg_pool2d(images, 2)
        yield images


@dataclass(frozen=True)
class ProjectionOptions:
    """How latents are optimized.

    Args:
        steps: in W, and again in W+.
        learning_rate: of Adam; rises linearly in the first 5 % of the steps, falls as a cosine in the last 25 %.
        w_noise: standard deviation of the noise on w at the start, relative to that of w.
        noise_weight: of the noise inputs' autocorrelation.
        tuning_steps, tuning_rate: of the generator, for pivotal tuning.
        w_samples: number of w for mean and deviation.
    """

    steps: Annotated[int, Range(1, 100_000)] = 500
    learning_rate: Annotated[float, Range(0, 10)] = 0.1
    w_noise: Annotated[float, Range(0, 10)] = 0.05
    noise_weight: Annotated[float, Range(0, 1e9)] = 1e5
    tuning_steps: Annotated[int, Range(1, 100_000)] = 350
    tuning_rate: Annotated[float, Range(0, 1)] = 3e-4
    w_samples: Annotated[int, Range(2, 1_000_000)] = 10_000


@dataclass(frozen=True)
class Projector:
    """Finds latents of images.

    Args:
        generator: its parameters must not require gradients.
        matching: the distance of images.
        options: of the optimization.
        progress: called after each step.
    """

    generator: StyleGenerator
    matching: Matching
    options: ProjectionOptions
    progress: Progress | None = None

    def to_w(self, targets: Tensor, labels: Labels | None = None) -> Tensor:
        """Styles in W.

        Args:
            targets: [N, C, H, W] in [-1, 1], of the generator's resolution and channels.
            labels: for the mean of w; None for all classes.

        Returns:
            [N, L, w_dim], the same w in all layers L.
        """
        G, options = self.generator, self.options
        mean, deviation = w_statistics(G, options.w_samples, labels)
        w = mean.repeat(len(targets), 1).requires_grad_()
        noise = _noise_inputs(G, len(targets))

        def styles(step: int) -> Tensor:
            strength = deviation * options.w_noise * max(0.0, 1 - step / options.steps / 0.75) ** 2
            keys = torch.arange(len(w), device=w.device) + step * len(w)
            jitter = randomness.normal(0, "project/w", keys, w.shape[1:]).to(w)
            return (w + strength * jitter).unsqueeze(1).expand(-1, G.num_ws, -1)

        self._minimize("w", targets, [w, *noise], styles, noise)
        return w.detach().unsqueeze(1).repeat(1, G.num_ws, 1)

    def to_w_plus(self, targets: Tensor, ws: Tensor) -> Tensor:
        """Styles in W+ [N, L, w_dim], from `ws`; noise inputs are the stored ones."""
        ws = ws.clone().requires_grad_()
        self._minimize("w+", targets, [ws], lambda step: ws, [])
        return ws.detach()

    def tune(self, targets: Tensor, ws: Tensor, batch_size: int) -> StyleGenerator:
        """Pivotal tuning: a copy of the generator whose synthesis network is trained to give `targets` at `ws`.

        A step takes the next `batch_size` images; the loss is the mean of their distances.
        """
        tuned = copy.deepcopy(self.generator).train()
        parameters = [parameter.requires_grad_() for parameter in tuned.synthesis.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.options.tuning_rate)
        parts = list(zip(ws.split(batch_size), targets.split(batch_size), strict=True))
        for step in range(self.options.tuning_steps):
            styles, images = parts[step % len(parts)]
            loss = _distance(self.matching, tuned.synthesis(styles, "const"), self._goals(images))
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            self._report("pivotal", step + 1, self.options.tuning_steps, loss)
        return tuned.eval().requires_grad_(False)

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
            loss = _distance(self.matching, self.generator.synthesis(styles(step), list(noise) or "const"), goals)
            penalty = sum((autocorrelation(n) for n in noise), loss.new_zeros(len(loss)))
            optimizer.zero_grad()
            (loss + options.noise_weight * penalty).sum().backward()
            optimizer.step()
            _normalize(noise)
            self._report(phase, step + 1, options.steps, loss)

    @torch.no_grad()
    def _goals(self, targets: Tensor) -> Tensor:
        return self.matching.embed(targets)

    def _report(self, phase: str, done: int, total: int, loss: Tensor) -> None:
        if self.progress is not None:
            self.progress(phase, done, total, f"distance {loss.detach().mean().item():.4f}")


@torch.no_grad()
def sampled_w(generator: StyleGenerator, count: int, labels: Labels | None = None) -> Tensor:
    """w [count, w_dim] of the seeds 0 to count - 1.

    Args:
        labels: of the seeds; None for a random class for each.
    """
    weight, seeds = next(generator.parameters()), list(range(count))
    c = (labels or uniform_labels(generator.num_classes))(seeds)
    return generator.mapping(latents(seeds, generator.z_dim, weight.device).to(weight.dtype), c.to(weight.device))


def w_statistics(generator: StyleGenerator, count: int, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
    """Mean w [1, w_dim], and the root of the mean squared distance from it (a scalar), of `count` seeds."""
    w = sampled_w(generator, count, labels)
    mean = w.mean(dim=0, keepdim=True)
    return mean, (w - mean).square().sum(dim=1).mean().sqrt()


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
    """White noise for each layer to optimize; empty for a network without noise."""
    if not any(name.endswith(("noise_const", "noise.const")) for name in generator.state_dict()):
        return []
    weight, indices = next(generator.parameters()), torch.arange(count)
    requests = {
        f"project/noise{k}": randomness.Request("normal", (1, r, r))
        for k, r in enumerate(generator.synthesis.noise_sizes)
    }
    made = randomness.generate(0, indices.to(weight.device), requests).values()
    return [noise.to(weight.dtype).requires_grad_() for noise in made]


def _distance(matching: Matching, images: Tensor, goals: Tensor) -> Tensor:
    return (matching.embed(images) - goals).square().sum(dim=1)


def mean_absolute_error(images: Tensor, targets: Tensor) -> Tensor:
    """Of images in [-1, 1], clamped, per image: [N], of pixels in [0, 1]."""
    return (images.clamp(-1, 1) - targets).abs().mean(dim=(1, 2, 3)) / 2
