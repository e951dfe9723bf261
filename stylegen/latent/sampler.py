"""Images from seeds, for sampling, metrics and sample grids."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from stylegen.bounds import SEED_SOURCES
from stylegen.errors import UserError, unknown_choice
from stylegen.features.extractor import ieee_float32
from stylegen.images import to_uint8
from stylegen.latent.motion import input_transform
from stylegen.latent.noise_inputs import random_noise
from stylegen.latent.sample_labels import Labels, uniform_labels
from stylegen.latent.seeds import latents
from stylegen.latent.truncation import label_centers, truncate
from stylegen.networks import StyleGenerator

NOISE_MODES = ("const", "none", "random")


class Sampler:
    """Generates images; the image of a seed does not depend on the batch size.

    Args:
        generator: the network, in evaluation mode, on its device.
        psi, cutoff: see `latent.truncation.truncate`.
        noise: "const" for the noise stored with the weights, "none", or "random" for noise keyed by the seed.
        labels: class or mixture of each seed; None for a random class per seed.
        batch_size: images per batch.
        seed_source: see `latents`; or styles [M, L, w_dim] of the seeds 0 to M - 1, such as projected ones.
        centers: [num_classes, w_dim], toward which images of a class are truncated; None for the mean of all w.

    Attributes:
        motion: motion of the images, float64 [3, 3] (`latent.motion`); None for none. Set by `replaced`.

    Raises:
        UserError: a setting out of range.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str = "const",
        labels: Labels | None = None,
        batch_size: int = 16,
        seed_source: str | Tensor = "stylegen",
        centers: Tensor | None = None,
    ) -> None:
        if noise not in NOISE_MODES:
            raise unknown_choice("noise", noise, NOISE_MODES)
        if isinstance(seed_source, str) and seed_source not in SEED_SOURCES:
            raise unknown_choice("seed_source", seed_source, SEED_SOURCES)
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size}", rule="must be at least 1", fix="Use batch_size=1 or more")
        if not math.isfinite(psi):
            raise UserError(f"truncation_psi={psi}", rule="must be a finite number", fix="Use truncation_psi=-1 to 1")
        _check_range("truncation_cutoff", cutoff, generator.num_ws + 1, f"this network has {generator.num_ws} layers")
        self.generator, self.psi, self.cutoff = generator, psi, cutoff
        self.noise, self.batch_size, self.seed_source, self.centers = noise, batch_size, seed_source, centers
        self.labels = labels or uniform_labels(generator.num_classes)
        self.motion: Tensor | None = None
        weight = next(generator.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @torch.no_grad()
    def ws(self, seeds: list[int]) -> Tensor:
        """Styles [N, L, w_dim], not truncated."""
        G = self.generator
        if isinstance(self.seed_source, Tensor):
            check_numbers(seeds, len(self.seed_source))
            return self.seed_source[seeds].to(self.device, self.dtype)
        w = G.mapping(latents(seeds, G.z_dim, self.device, self.seed_source).to(self.dtype), self.c(seeds))
        return w.unsqueeze(1).repeat(1, G.num_ws, 1)

    @torch.no_grad()
    def render(
        self,
        ws: Tensor,
        seeds: list[int],
        psi: float | None = None,
        noise: str | None = None,
        motions: Tensor | None = None,
    ) -> Tensor:
        """Truncate and synthesize: [N, L, w_dim] -> uint8 [N, C, H, W].

        Args:
            seeds: keys of random noise and of labels.
            psi, noise: override the sampler's settings.
            motions: [N, 3, 3], motion of each image after the sampler's.
        """
        G = self.generator
        matrices, parts = self._transforms(motions, len(ws)), []
        for start in range(0, len(ws), self.batch_size):
            part = slice(start, start + self.batch_size)
            w = self.truncated(ws[part], seeds[part], psi)
            mode = noise or self.noise
            moved = {} if matrices is None else {"transform": matrices[part]}
            inputs = random_noise(G, seeds[part]) if mode == "random" else mode
            with ieee_float32(self.device):  # TF32 of GPUs rounds differently at each batch size
                parts.append(to_uint8(G.synthesis(w, inputs, **moved)))
        return torch.cat(parts)

    def _transforms(self, motions: Tensor | None, count: int) -> Tensor | None:
        """Of the network's input, [count, 3, 3]; None if nothing moves."""
        if motions is None and self.motion is None:
            return None
        still = torch.eye(3, dtype=torch.float64)
        motion = (still if motions is None else motions) @ (still if self.motion is None else self.motion)
        return input_transform(motion).expand(count, 3, 3).to(self.device, self.dtype)

    def images(self, seeds: list[int]) -> Tensor:
        """uint8 [N, C, H, W]."""
        return self.render(self.ws(seeds), seeds)

    def batches(self, seeds: list[int]) -> Iterator[Tensor]:
        """`images`, one batch at a time."""
        for start in range(0, len(seeds), self.batch_size):
            yield self.images(seeds[start : start + self.batch_size])

    def c(self, seeds: list[int]) -> Tensor:
        """Labels [N, num_classes]."""
        return self.labels(seeds).to(self.device, self.dtype)

    def truncated(self, ws: Tensor, seeds: list[int], psi: float | None = None) -> Tensor:
        """Styles [N, L, w_dim], truncated by `psi`, or the sampler's."""
        center = self.generator.mapping.w_avg
        if self.centers is not None:
            center = label_centers(self.c(seeds), self.centers, center)
        return truncate(ws, center, self.psi if psi is None else psi, self.cutoff)

    def truncated_ws(self, seeds: list[int]) -> Tensor:
        """Styles [N, L, w_dim] of seeds, truncated; for paths and mixtures of images of different classes."""
        return self.truncated(self.ws(seeds), seeds)

    def replaced(
        self,
        labels: Labels | None = None,
        seed_source: str | Tensor | None = None,
        motion: Tensor | None = None,
    ) -> "Sampler":
        """The sampler with other labels, another source of styles, or another motion; None keeps them."""
        other = copy.copy(self)
        other.labels = self.labels if labels is None else labels
        other.seed_source = self.seed_source if seed_source is None else seed_source
        other.motion = self.motion if motion is None else motion
        return other


def check_numbers(seeds: list[int], count: int, setting: str = "seeds", source: str = "latents") -> None:
    """Raise UserError for numbers of images that a file of latents does not have."""
    if seeds and max(seeds) >= count:
        rule = f"{source}= holds {count} image{'s' * (count != 1)}, numbered from 0"
        fix = f"Use {setting}={'0' if count == 1 else f'0-{count - 1}'}"
        raise UserError(f"{setting}={max(seeds)}", rule=rule, fix=fix)


def check_noise(generator: StyleGenerator, noise: str, setting: str = "", fix: str = "Omit noise") -> None:
    """Raise UserError for a choice of noise, other than the default "const", with a network without noise inputs.

    Args:
        setting: the setting as typed, for the message; empty for noise=`noise`.
    """
    if noise != "const" and not generator.has_noise:
        switched_off = not generator.settings.get("use_noise", True)
        rule = (
            "was trained with generator.use_noise=false"
            if switched_off
            else f"is {generator.name}, without noise inputs"
        )
        raise UserError(setting or f"noise={noise}", rule=f"this network {rule}", fix=fix)


def _check_range(setting: str, value: int | None, count: int, what: str) -> None:
    if value is not None and not 0 <= value < count:
        fix = f"Use {setting}=0 to {setting}={count - 1}" if count else f"Omit {setting}"
        raise UserError(f"{setting}={value}", rule=what, fix=fix)
