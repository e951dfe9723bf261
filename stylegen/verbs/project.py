"""Project images: find the latents with which a generator gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot, save_snapshot
from stylegen.config.project_settings import ProjectSettings
from stylegen.cpus import use_default_threads
from stylegen.data.prepare.target_images import target_images, target_recipe
from stylegen.distributed import choose_device
from stylegen.errors import UserError
from stylegen.features.lpips import perceptual_distance
from stylegen.latent.matching import Matching
from stylegen.latent.project_images import Projection, project_images
from stylegen.latent.projection import Projector
from stylegen.latent.sample_labels import parse_labels
from stylegen.placement import check_writable, place
from stylegen.progress import ProgressBars


@dataclass(frozen=True)
class ProjectResult:
    """The files written, the number of images, and the mean error of each phase."""

    folder: Path
    count: int
    distance: str
    errors: Mapping[str, float]
    tuned: Path | None

    def __str__(self) -> str:
        errors = ", ".join(f"{phase} {error:.4f}" for phase, error in self.errors.items())
        count = f"{self.count} image{'s' * (self.count > 1)}"
        lines = [f"distance {self.distance}", f"mean absolute error of {count}, pixels in [0, 1]: {errors}"]
        latents = f"latents={self.folder / 'latents.npz'}"
        snapshot = f"snapshot={self.tuned} " if self.tuned else ""
        return "\n".join([*lines, str(self.folder), f"next: python sample.py {snapshot}{latents} seeds=0 mode=grid"])


def run(settings: ProjectSettings) -> ProjectResult:
    """Project the images and write the results to a new folder.

    Raises:
        UserError: a bad snapshot, image or class; a folder that cannot be written.
    """
    use_default_threads()
    out = Path(settings.out).expanduser()
    check_writable(out, several=True, setting=f"space={settings.space}")
    if out.is_dir() and any(out.iterdir()):  # `place` would refuse it after minutes of work
        raise UserError(f"out={out}", rule="this folder is not empty", fix="Use another out=PATH, or move it")
    snapshot, device = load_snapshot(settings.snapshot), choose_device(settings.device)
    G, labels = snapshot.on(device), parse_labels(settings.label, snapshot)
    recipe = target_recipe(G.level.resolution, G.channels, snapshot.info.get("prepared"), settings.crop)
    images = target_images(settings.images, recipe, settings.max_images, settings.align)
    perceptual = perceptual_distance(settings.distance, settings.weights, device)
    matching = Matching(perceptual, settings.pixel_weight)
    with ProgressBars() as bars:
        projector = Projector(G, matching, settings.options, bars.show)
        projection = project_images(projector, images, settings.space, labels, settings.batch_size)
    info: dict[str, Any] = {"snapshot": snapshot.path.name, "space": settings.space}
    info |= {"distance": perceptual.name, "steps": settings.options.steps, "starts": settings.options.starts}
    place(partial(_write, projection, snapshot, info), out, keep_both=False)
    errors = {phase: sum(found) / len(found) for phase, found in projection.errors.items()}
    return ProjectResult(
        out, len(images), perceptual.name, errors, out / "tuned.safetensors" if projection.tuned else None
    )


def _write(projection: Projection, snapshot: Snapshot, info: dict[str, Any], folder: Path) -> None:
    folder.mkdir()
    projection.write(folder, info)
    if projection.tuned is not None:
        save_snapshot(folder / "tuned.safetensors", projection.tuned, snapshot.info | {"tuned_to": info})
