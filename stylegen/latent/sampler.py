"""Images from seeds, for sampling, metrics and sample grids."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.bounds import SEED_SOURCES
from stylegen.errors import UserError, unknown_choice
from stylegen.images import to_uint8
from stylegen.latent.seeds import latents, random_labels
from stylegen.networks import StyleGenerator
from stylegen.one_hot import OneHot

NOISE_MODES = ("const", "none", "random")


class Sampler:
    """Generates images; the image of a seed does not depend on the batch size.

    Args:
        generator: in evaluation mode, on its device.
        psi, cutoff: see `truncate`.
        noise: "const" for the noise stored with the weights, "none", or "random" for noise keyed by the seed.
        label: class index of all images; None for a random label per seed.
        label_table: [M, num_classes], the labels to sample from, such as a dataset's; None for uniform classes.
        batch_size: images per batch.
        seed_source: of z, see `latents`; or styles [M, L, w_dim] of the seeds 0 to M - 1, such as projected ones.

    Raises:
        UserError: a setting out of range.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str = "const",
        label: int | None = None,
        label_table: Tensor | OneHot | None = None,
        batch_size: int = 16,
        seed_source: str | Tensor = "stylegen",
    ) -> None:
        if noise not in NOISE_MODES:
            raise unknown_choice("noise", noise, NOISE_MODES)
        if isinstance(seed_source, str) and seed_source not in SEED_SOURCES:
            raise unknown_choice("seed_source", seed_source, SEED_SOURCES)
        if batch_size < 1:
            raise UserError(
                f"batch_size={batch_size}", rule="a batch has at least one image", fix="Use batch_size=1 or more"
            )
        if not math.isfinite(psi):
            raise UserError(f"truncation_psi={psi}", rule="psi is a finite number", fix="Use truncation_psi=-1 to 1")
        _check_range("truncation_cutoff", cutoff, generator.num_ws + 1, f"this network has {generator.num_ws} layers")
        _check_range("class", label, generator.num_classes, f"this network has {generator.num_classes} classes")
        self.generator, self.psi, self.cutoff = generator, psi, cutoff
        self.noise, self.label, self.label_table, self.batch_size = noise, label, label_table, batch_size
        self.seed_source = seed_source
        weight = next(generator.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @torch.no_grad()
    def ws(self, seeds: list[int]) -> Tensor:
        """Styles [N, L, D], not truncated."""
        G = self.generator
        if isinstance(self.seed_source, Tensor):
            count = len(self.seed_source)
            _check_range("seeds", max(seeds, default=0), count, f"latents= holds {count} images")
            return self.seed_source[seeds].to(self.device, self.dtype)
        w = G.mapping(latents(seeds, G.z_dim, self.device, self.seed_source).to(self.dtype), self._labels(seeds))
        return w.unsqueeze(1).repeat(1, G.num_ws, 1)

    @torch.no_grad()
    def render(self, ws: Tensor, seeds: list[int], psi: float | None = None, noise: str | None = None) -> Tensor:
        """Truncate and synthesise: [N, L, D] -> uint8 [N, C, H, W].

        Args:
            seeds: keys of random noise.
            psi, noise: override the sampler's settings.
        """
        G = self.generator
        parts = []
        for start in range(0, len(ws), self.batch_size):
            part = slice(start, start + self.batch_size)
            w = truncate(ws[part], G.mapping.w_avg, self.psi if psi is None else psi, self.cutoff)
            mode = noise or self.noise
            parts.append(to_uint8(G.synthesis(w, self._noise_for(seeds[part]) if mode == "random" else mode)))
        return torch.cat(parts)

    def images(self, seeds: list[int]) -> Tensor:
        """uint8 [N, C, H, W]."""
        return self.render(self.ws(seeds), seeds)

    def batches(self, seeds: list[int]) -> Iterator[Tensor]:
        """`images`, one batch at a time."""
        for start in range(0, len(seeds), self.batch_size):
            yield self.images(seeds[start : start + self.batch_size])

    def _labels(self, seeds: list[int]) -> Tensor:
        """c [N, num_classes]."""
        classes = self.generator.num_classes
        if self.label is not None:
            return OneHot.identity(classes)[torch.tensor([self.label] * len(seeds))].to(self.device)
        table = OneHot.identity(classes) if self.label_table is None else self.label_table
        return random_labels(seeds, table).to(self.device)

    def _noise_for(self, seeds: list[int]) -> list[Tensor]:
        sizes = self.generator.synthesis.noise_sizes
        indices = torch.tensor(seeds, device=self.device)
        requests = {f"sample/noise{k}": randomness.Request("normal", (1, r, r)) for k, r in enumerate(sizes)}
        return [noise.to(self.dtype) for noise in randomness.generate(0, indices, requests).values()]


def _check_range(setting: str, value: int | None, count: int, what: str) -> None:
    if value is not None and not 0 <= value < count:
        fix = f"Use {setting}=0 to {setting}={count - 1}" if count else f"Leave {setting} out"
        raise UserError(f"{setting}={value}", rule=what, fix=fix)


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """w_avg + psi (w - w_avg) in the first `cutoff` layers (Karras et al. 2019, arXiv 1812.04948, appendix B).

    Args:
        ws: [N, L, D].
        w_avg: [D], the running mean of w.
        psi: 1 is the identity, 0 gives the mean image, negative values its opposite.
        cutoff: number of truncated layers; None for all.
    """
    if psi == 1:
        return ws
    ws = ws.clone()
    ws[:, :cutoff] = w_avg.lerp(ws[:, :cutoff], psi)
    return ws


def mix(ws: Tensor, other: Tensor, layers: Sequence[int]) -> Tensor:
    """Replace the styles of `layers` by `other` (section 3.1): [N, L, D], [N or 1, L, D] -> [N, L, D]."""
    mixed = ws.clone()
    mixed[:, list(layers)] = other.expand_as(ws)[:, list(layers)]
    return mixed
