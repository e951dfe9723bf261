"""metrics.jsonl: the record of truth, one JSON object a line. The progress bar and W&B hear the same records."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lightning as L
import torch

from stylegen.training.lightning.callbacks.every_kimg import EveryKimg
from stylegen.training.lightning.module import StyleGANModule

Record = dict[str, Any]  # numbers, None where there is no finite one


class Logbook(EveryKimg):
    """Writes means of what training reported, speed and memory.

    Args:
        path: the .jsonl file.
        every_kimg, total_kimg: see `EveryKimg`.
        listeners: called with every record.

    Its state is the length of the file and the means under way: a resumed run cuts the file back to where its
    checkpoint was made, so that no line stands twice and none is missing.
    """

    def __init__(
        self, path: Path, every_kimg: float, total_kimg: float, listeners: Iterable[Callable[[Record], None]] = ()
    ) -> None:
        super().__init__(every_kimg, total_kimg)
        self.path, self.listeners = path, list(listeners)
        self._since = (0, time.perf_counter())
        self._module: StyleGANModule | None = None
        self._statistics: dict[str, Any] | None = None
        self._offset: int | None = None

    def record(self, module: StyleGANModule, values: Record) -> None:
        """Append one line on rank 0: `values`, led by the time in kimg."""
        if module.trainer.is_global_zero:
            record = {"kimg": module.images_seen / 1000, **values}
            record = {k: v if math.isfinite(v) else None for k, v in record.items()}  # JSON has no NaN
            try:
                with self.path.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            except OSError as error:  # a full disk has no file's name in its error
                raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error
            for listener in self.listeners:
                listener(record)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, StyleGANModule)
        self._module = pl_module
        self._since = (pl_module.images_seen, time.perf_counter())
        if trainer.is_global_zero:
            self._cut_back()
        if self._statistics is not None:
            pl_module.statistics.load_state_dict(self._statistics, pl_module.device)

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        values = module.statistics.collect()  # waits for the device, so the clock is read after it
        images, now = module.images_seen, time.perf_counter()
        seconds = (now - self._since[1]) / max(images - self._since[0], 1) * 1000
        self._since = (images, now)
        if module.growth is not None:  # as it stands, not a mean of several levels
            level = module.G_ema.level
            values |= {"growth/resolution": level.resolution, "growth/alpha": level.alpha}
        self.record(module, values | {"time/sec_per_kimg": seconds, "memory/peak_gb": peak_memory_gb(module.device)})

    def state_dict(self) -> dict[str, Any]:
        statistics = self._module.statistics.state_dict() if self._module is not None else None
        return {"offset": self.path.stat().st_size if self.path.exists() else 0, "statistics": statistics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._statistics = state_dict["statistics"]
        self._offset = state_dict["offset"]

    def _cut_back(self) -> None:
        """To where the checkpoint was made, or less after a power failure: whole lines only."""
        if self._offset is not None and self.path.exists():
            kept = self.path.read_bytes()[: self._offset]
            with self.path.open("r+b") as file:
                file.truncate(kept.rfind(b"\n") + 1)
        self._offset = None


def peak_memory_gb(device: torch.device) -> float:
    """Highest memory so far in GiB: of the GPU where there is one, else of the process; NaN on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return float("nan")
    import resource  # Unix only

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
