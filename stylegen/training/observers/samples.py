"""Sample grids and snapshots of G_ema."""

from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.distributed import is_rank0
from stylegen.images import make_grid, write_png
from stylegen.latent.sampler import Sampler
from stylegen.training.step import TrainingStep

GRID_CELL_PX = 64  # smaller images are enlarged


class SampleGrids:
    """samples/<kimg>.png: images of G_ema for the seeds 0 to count - 1; captioned with resolution and alpha if the
    networks grow.

    Args:
        folder: the run folder; grids go to samples/.
        count: number of images.
        columns: images per row.
    """

    def __init__(self, folder: RunFolder, count: int, columns: int) -> None:
        self.folder, self.count, self.columns = folder, count, columns

    def write(self, step: TrainingStep) -> Path:
        """Write the grid and return its path; on rank 0 only."""
        self.folder.check_exists()
        images = Sampler(step.G_ema).images(list(range(self.count)))
        path, level = self.folder.sample(step.images_seen), step.G_ema.level
        caption = "" if step.growth is None else f"{level.resolution} px, alpha {level.alpha:.2f}"
        write_png(path, make_grid(images, self.columns), max(1, GRID_CELL_PX // images.shape[-1]), caption)
        return path


class Snapshots:
    """snapshots/<kimg>.safetensors.

    Args:
        folder: the run folder; files go to snapshots/.
        info: `info` of each file, in addition to `images_seen`.
    """

    def __init__(self, folder: RunFolder, info: dict[str, Any]) -> None:
        self.folder, self.info = folder, info

    def write(self, step: TrainingStep) -> None:
        if is_rank0():
            self.folder.check_exists()
            info = {"images_seen": step.images_seen, **self.info}
            save_snapshot(self.folder.snapshot(step.images_seen), step.G_ema, info)
