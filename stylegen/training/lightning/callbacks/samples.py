"""What a run leaves for the eye and for use: sample grids and snapshots."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lightning as L

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.images import make_grid, write_png
from stylegen.latent.sampler import Sampler
from stylegen.training.lightning.callbacks.every_kimg import EveryKimg
from stylegen.training.lightning.module import StyleGANModule

GRID_CELL_PX = 64  # small pictures are enlarged, so that a cell can be seen


class SampleGrids(EveryKimg):
    """A grid of the averaged generator's pictures at fixed seeds, in samples/<kimg>.png.

    While networks grow, it says below at what resolution and alpha they stand.

    Args:
        folder: the run's.
        count: pictures, seeds 0 to count - 1, in rows of `columns`.
        every_kimg, total_kimg: see `EveryKimg`.
        listeners: called with (kimg, path) of each grid.
    """

    def __init__(
        self,
        folder: RunFolder,
        count: int,
        columns: int,
        every_kimg: float,
        total_kimg: float,
        listeners: Iterable[Callable[[float, Path], None]] = (),
    ) -> None:
        super().__init__(every_kimg, total_kimg, at_start=True)
        self.folder, self.count, self.columns, self.listeners = folder, count, columns, list(listeners)

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        if not trainer.is_global_zero:
            return
        self.folder.check_there()
        images = Sampler(module.G_ema).images(list(range(self.count)))
        path = self.folder.sample(module.images_seen)
        level = module.G_ema.level
        caption = "" if module.growth is None else f"{level.resolution} px, alpha {level.alpha:.2f}"
        write_png(path, make_grid(images, self.columns), max(1, GRID_CELL_PX // images.shape[-1]), caption)
        for listener in self.listeners:
            listener(module.images_seen / 1000, path)


class Snapshots(EveryKimg):
    """The averaged generator, in snapshots/<kimg>.safetensors.

    Args:
        folder: the run's.
        info: what each file says of its training, beside `images_seen`.
        every_kimg, total_kimg: see `EveryKimg`.
    """

    def __init__(self, folder: RunFolder, info: dict[str, Any], every_kimg: float, total_kimg: float) -> None:
        super().__init__(every_kimg, total_kimg)
        self.folder, self.info = folder, info

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        if trainer.is_global_zero:
            self.folder.check_there()
            info = {"images_seen": module.images_seen, **self.info}
            save_snapshot(self.folder.snapshot(module.images_seen), module.G_ema, info)
