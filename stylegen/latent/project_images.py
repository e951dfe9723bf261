"""Projects images and writes what came out: latents, images, a strip, errors, and the tuned generator."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.captions import Captions, add_captions
from stylegen.images import PADDING, enlarged, make_grid, save_png, to_uint8
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.projection import (
    Matching,
    Progress,
    ProjectionOptions,
    mean_absolute_error,
    project_w,
    project_w_plus,
    tune_generator,
)
from stylegen.networks import StyleGenerator

SPACES = ("w", "w+", "pivotal")
_CELL = 128  # pixels of an image in the strip, at least


@dataclass
class Projection:
    """Projected images.

    Attributes:
        names: of the images.
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
        errors = {name: {p: e[i] for p, e in self.errors.items()} for i, name in enumerate(self.names)}
        (folder / "projection.json").write_text(json.dumps(info | {"mean_absolute_error": errors}, indent=1) + "\n")
        save_png(self.strip(), folder / "strip.png")
        for name, image in zip(self.names, list(self.images.values())[-1], strict=True):
            save_png(enlarged(to_uint8(image), 1), folder / f"{name}.png")

    def strip(self) -> Any:
        """A row for each image: itself, and the result of each phase with its error."""
        columns = [self.targets, *self.images.values()]
        cells = to_uint8(torch.stack(columns, dim=1).flatten(0, 1))
        side = cells.shape[-1]
        scale = max(1, _CELL // side)
        grid = enlarged(make_grid(cells, len(columns)), scale)
        means = [f"{phase}: {sum(e) / len(e):.4f}" for phase, e in self.errors.items()]
        captions = Captions(
            rows=[name[:24] for name in self.names],
            columns=["image", *self.images],
            note=f"mean absolute error, pixels in [0, 1]: {', '.join(means)}",
        )
        return add_captions(grid, side * scale, PADDING * scale, captions)


def project_images(
    generator: StyleGenerator,
    named: Sequence[tuple[str, Tensor]],
    space: str,
    matching: Matching,
    options: ProjectionOptions,
    batch_size: int = 4,
    label: int | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Project images [C, H, W] in [-1, 1] with their names: in W, then in W+ or by pivotal tuning."""
    generator.requires_grad_(False)
    names, images = [name for name, _ in named], torch.stack([image for _, image in named])
    weight = next(generator.parameters())
    targets = images.to(weight)
    parts = targets.split(batch_size)
    ws = torch.cat([project_w(generator, part, matching, options, label, progress) for part in parts])
    found = {"w": _rendered(generator, ws, batch_size)}
    tuned = None
    if space == "w+":
        pairs = zip(parts, ws.split(batch_size), strict=True)
        ws = torch.cat([project_w_plus(generator, part, w, matching, options, progress) for part, w in pairs])
        found["w+"] = _rendered(generator, ws, batch_size)
    if space == "pivotal":
        tuned = tune_generator(generator, targets, ws, matching, options, batch_size, progress)
        found["pivotal"] = _rendered(tuned, ws, batch_size)
    return Projection(names, targets, ws, found, tuned)


@torch.no_grad()
def _rendered(generator: StyleGenerator, ws: Tensor, batch_size: int) -> Tensor:
    return torch.cat([generator.synthesis(part, "const") for part in ws.split(batch_size)])


def distinct(names: Sequence[str]) -> Iterator[str]:
    """Names as file names: without folders and suffix, made distinct by a number."""
    seen: dict[str, int] = {}
    for name in names:
        stem = Path(name).stem
        seen[stem] = seen.get(stem, 0) + 1
        yield stem if seen[stem] == 1 else f"{stem}_{seen[stem]}"
