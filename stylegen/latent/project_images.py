"""Projects images and writes what came out: latents, images, a strip, errors, and the tuned generator."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.captions import Captions, add_captions
from stylegen.data.prepare.target_images import distinct
from stylegen.errors import UserError, unknown_choice
from stylegen.features.extractor import ieee_float32
from stylegen.features.lpips import perceptual_distance
from stylegen.images import MAX_FIGURE_PIXELS, PADDING, enlarged, make_grid, save_png, to_pil, to_uint8
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.matching import Matching, mean_absolute_error
from stylegen.latent.projection import ProjectionOptions, Projector, w_statistics
from stylegen.latent.sample_labels import Labels
from stylegen.networks import StyleGenerator

SPACES = ("w", "w+", "pivotal")
_CELL = 128  # pixels of an image in the strip, at least


@dataclass
class Projection:
    """Projected images.

    Attributes:
        names: distinct names of files.
        targets: [N, C, H, W] in [-1, 1].
        ws: [N, L, w_dim], the styles to keep.
        images: phase -> [N, C, H, W], the generator's images, in order.
        tuned: the generator after pivotal tuning.
    """

    names: Sequence[str]
    targets: Tensor
    ws: Tensor
    images: dict[str, Tensor] = field(default_factory=dict)
    tuned: StyleGenerator | None = None

    @property
    def errors(self) -> dict[str, list[float]]:
        """Phase -> mean absolute error of each image, pixels in [0, 1]."""
        return {phase: mean_absolute_error(found, self.targets).tolist() for phase, found in self.images.items()}

    def write(self, folder: Path, info: dict[str, Any]) -> None:
        """Write latents.npz, projection.json, strip.png and one PNG for each image, into an existing folder."""
        write_latents(folder / "latents.npz", Latents(self.ws, self.names, info))
        found = self.errors  # computed at each access
        errors = {name: {p: e[i] for p, e in found.items()} for i, name in enumerate(self.names)}
        (folder / "projection.json").write_text(json.dumps(info | {"mean_absolute_error": errors}, indent=1) + "\n")
        save_png(self.strip(), folder / "strip.png")
        for name, image in zip(self.names, list(self.images.values())[-1], strict=True):
            save_png(to_pil(to_uint8(image)), folder / f"{name}.png")

    def strip(self) -> Any:
        """A row for each image: itself, and the result of each phase; as many rows as a figure may have."""
        columns = [self.targets, *self.images.values()]
        side = self.targets.shape[-1]
        scale = max(1, _CELL // side)
        rows = max(1, MAX_FIGURE_PIXELS // (len(columns) * (side * scale) ** 2))
        cells = to_uint8(torch.stack([column[:rows] for column in columns], dim=1).flatten(0, 1))
        grid = enlarged(make_grid(cells, len(columns)), scale)
        means = [f"{phase}: {sum(e) / len(e):.4f}" for phase, e in self.errors.items()]
        captions = Captions(
            rows=[name[:24] for name in self.names[:rows]],
            columns=["image", *self.images],
            note=f"mean absolute error, pixels in [0, 1]: {', '.join(means)}",
        )
        return add_captions(grid, side * scale, PADDING * scale, captions)


def project_images(
    projector: Projector,
    named: Sequence[tuple[str, Tensor]],
    space: str,
    labels: Labels | None = None,
    batch_size: int = 4,
) -> Projection:
    """Project images [C, H, W] in [-1, 1] with their paths: in W, then in W+ or by pivotal tuning.

    A generator in half precision is converted to float32 for it.

    Args:
        space: one of `SPACES`.
        labels: classes of the w among which the search starts; None for all classes.
        batch_size: images at a time.

    Raises:
        UserError: a learning rate at which the optimization diverges.
    """
    with ieee_float32(next(projector.generator.parameters()).device):
        return _projected(projector, named, space, labels, batch_size)


def _projected(
    projector: Projector, named: Sequence[tuple[str, Tensor]], space: str, labels: Labels | None, batch_size: int
) -> Projection:
    generator = _in_full_precision(projector.generator)
    start = w_statistics(generator, projector.options.w_samples, labels)
    targets = torch.stack([image for _, image in named]).to(start.mean)
    parts = targets.split(batch_size)
    projector = replace(projector, generator=generator)
    each = [projector.counted(part, len(parts)) for part in range(len(parts))]
    ws = torch.cat([one.to_w(part, start) for one, part in zip(each, parts, strict=True)])
    found = {"w": _rendered(generator, ws, batch_size)}
    tuned = None
    if space == "w+":
        pairs = zip(each, parts, ws.split(batch_size), strict=True)
        ws = torch.cat([one.to_w_plus(part, w) for one, part, w in pairs])
        found["w+"] = _rendered(generator, ws, batch_size)
    if space == "pivotal":
        tuned = projector.tune(targets, ws, batch_size)
        found["pivotal"] = _rendered(tuned, ws, batch_size)
    return Projection(list(distinct([name for name, _ in named], taken=["strip"])), targets, ws, found, tuned)


def find_styles(
    generator: StyleGenerator, targets: Tensor, space: str, options: ProjectionOptions, labels: Labels
) -> Tensor:
    """Styles [N, L, w_dim] of images [N, C, H, W] in [-1, 1], in "w" or "w+".

    Raises:
        UserError: another space.
    """
    if space == "pivotal":
        raise UserError(
            "space=pivotal",
            rule="pivotal tuning gives a generator, not only styles",
            fix="Use python -m stylegen project space=pivotal",
        )
    if space not in SPACES:
        raise unknown_choice("space", space, SPACES)
    device = next(generator.parameters()).device
    matching = Matching(perceptual_distance("auto", device=device))
    projector = Projector(generator, matching, options)
    return project_images(projector, [(str(i), target) for i, target in enumerate(targets)], space, labels).ws


def _in_full_precision(generator: StyleGenerator) -> StyleGenerator:
    if next(generator.parameters()).dtype.itemsize < torch.float32.itemsize:
        generator = copy.deepcopy(generator).float()
    return generator.requires_grad_(False)


@torch.no_grad()
def _rendered(generator: StyleGenerator, ws: Tensor, batch_size: int) -> Tensor:
    return torch.cat([generator.synthesis(part, "const") for part in ws.split(batch_size)])
