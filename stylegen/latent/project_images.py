"""Projects images and writes what came out: latents, images, a strip, errors, and the tuned generator."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.captions import Captions, add_captions
from stylegen.images import PADDING, enlarged, make_grid, save_png, to_uint8
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.projection import Projector, mean_absolute_error
from stylegen.latent.sample_labels import Labels
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
    projector: Projector,
    named: Sequence[tuple[str, Tensor]],
    space: str,
    labels: Labels | None = None,
    batch_size: int = 4,
) -> Projection:
    """Project images [C, H, W] in [-1, 1] with their names: in W, then in W+ or by pivotal tuning.

    Args:
        space: one of `SPACES`.
        labels: of the w whose mean is the start.
        batch_size: images at a time.
    """
    generator = projector.generator.requires_grad_(False)
    targets = torch.stack([image for _, image in named]).to(next(generator.parameters()))
    parts = targets.split(batch_size)
    ws = torch.cat([projector.to_w(part, labels) for part in parts])
    found = {"w": _rendered(generator, ws, batch_size)}
    tuned = None
    if space == "w+":
        ws = torch.cat([projector.to_w_plus(*pair) for pair in zip(parts, ws.split(batch_size), strict=True)])
        found["w+"] = _rendered(generator, ws, batch_size)
    if space == "pivotal":
        tuned = projector.tune(targets, ws, batch_size)
        found["pivotal"] = _rendered(tuned, ws, batch_size)
    return Projection([name for name, _ in named], targets, ws, found, tuned)


@torch.no_grad()
def _rendered(generator: StyleGenerator, ws: Tensor, batch_size: int) -> Tensor:
    return torch.cat([generator.synthesis(part, "const") for part in ws.split(batch_size)])
