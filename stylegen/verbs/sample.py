"""Sample images from a snapshot: single images, or the figures of grid, truncation, style mixing and noise."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.config.settings import SampleSettings
from stylegen.cpus import use_default_threads
from stylegen.distributed import choose_device
from stylegen.errors import UserError, unknown_choice
from stylegen.images import make_grid
from stylegen.latent.sample_figures import SampleFigure
from stylegen.latent.sampler import Sampler
from stylegen.latent.seeds import parse_seeds
from stylegen.verbs.outputs import find_output, write_images

FIGURE_CELL_PX = 64  # figures enlarge smaller images to this size


@dataclass(frozen=True)
class SampleResult:
    """The files written, and the scale of their pixels."""

    paths: list[Path]
    resolution: int
    scale: int

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution} px, scale {self.scale}"
        if self.scale == 1 and self.resolution < FIGURE_CELL_PX:
            size += f"; scale={FIGURE_CELL_PX // self.resolution} enlarges them"
        count = "" if len(self.paths) == 1 else f"{len(self.paths)} images in "
        return f"{count}{self.paths[0] if len(self.paths) == 1 else self.paths[0].parent} ({size})"


def run(settings: SampleSettings) -> SampleResult:
    """Load the snapshot, sample, write PNGs.

    Raises:
        UserError: a bad snapshot, seed, layer, class, or an output that cannot be written.
    """
    seeds, others = parse_seeds(settings.seeds), parse_seeds(settings.mix_seeds, "mix_seeds")
    use_default_threads()
    snapshot = load_snapshot(settings.snapshot)
    sampler = Sampler(
        snapshot.generator.to(choose_device(settings.device)).to(memory_format=torch.channels_last),  # as in training
        psi=settings.truncation_psi,
        cutoff=settings.truncation_cutoff,
        noise=settings.noise,
        label=_class_index(settings.label, snapshot),
        batch_size=settings.batch_size,
    )
    out = find_output(settings, snapshot)
    resolution, scale = sampler.generator.level.resolution, settings.scale or 1
    images: Iterable[tuple[str, torch.Tensor]] = _images(sampler, seeds)
    if settings.mode != "images":
        scale = settings.scale or max(1, FIGURE_CELL_PX // resolution)
        figure = SampleFigure(settings.mode, seeds, settings.columns, settings.psis, others, settings.layers)
        figure.check_size(resolution * scale)
        images = [("", make_grid(*figure.cells(sampler)))]
    return SampleResult(write_images(images, out, scale, keep_both=settings.out is None), resolution, scale)


def _class_index(label: str | None, snapshot: Snapshot) -> int | None:
    """The index of the class `label`; a number is an index, even if a class has that name."""
    if label is None or re.fullmatch(r"-?\d{1,9}", label):
        return None if label is None else int(label)
    names = snapshot.info.get("class_names")
    if not isinstance(names, list):
        raise UserError(f"class={label}", rule="this snapshot has no class names", fix="Use the index of the class")
    if label not in names:
        raise unknown_choice("class", label, map(str, names))
    return names.index(label)


def _images(sampler: Sampler, seeds: list[int]) -> Iterator[tuple[str, torch.Tensor]]:
    names = (f"seed{seed:06d}.png" for seed in seeds)
    for batch in sampler.batches(seeds):
        yield from zip(itertools.islice(names, len(batch)), batch.cpu(), strict=True)
