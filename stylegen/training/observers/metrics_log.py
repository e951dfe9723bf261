"""metrics.jsonl: one JSON object per line. The progress bar and W&B show the same records."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch

from stylegen.distributed import is_rank0
from stylegen.training.step import TrainingStep

Record = dict[str, Any]  # None replaces numbers that are not finite


class MetricsLog:
    """Appends records to a file.

    Its state is the length of the file: a continued run truncates the file to its length at the checkpoint, so that
    no record is missing or written twice.

    Args:
        path: the .jsonl file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._since = (0, *_clocks())
        self._offset: int | None = None

    def begin(self, images_seen: int) -> None:
        """Start measuring speed; after `load_state_dict`, truncate the file."""
        self._since = (images_seen, *_clocks())
        if self._offset is not None and self.path.exists() and is_rank0():
            kept = self.path.read_bytes()[: self._offset]
            with self.path.open("r+b") as file:
                file.truncate(kept.rfind(b"\n") + 1)  # whole lines only: a power failure may have truncated it
        self._offset = None

    def means(self, step: TrainingStep) -> Record:
        """Means over all ranks since the last call; current resolution and alpha; speed and memory."""
        values: Record = dict(step.statistics.collect())  # synchronizes with the device, so time is read after it
        since, self._since = self._since, (step.images_seen, *_clocks())
        images, seconds, cpu_seconds = (now - before for now, before in zip(self._since, since, strict=True))
        kimg = max(images, 1) / 1000
        if step.growth is not None:
            level = step.G_ema.level
            values |= {"growth/resolution": level.resolution, "growth/alpha": level.alpha}
        speed = {"time/sec_per_kimg": seconds / kimg, "time/cpu_sec_per_kimg": cpu_seconds / kimg}
        return values | speed | {"memory/peak_gb": peak_memory_gb(step.device)}

    def write(self, images_seen: int, values: Record) -> Record:
        """Append {"kimg": ..., **values} and return it."""
        record = {"kimg": images_seen / 1000, **values}
        record = {k: v if math.isfinite(v) else None for k, v in record.items()}  # JSON has no NaN
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:  # the error of a full disk does not name the file
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error
        return record

    def state_dict(self) -> dict[str, Any]:
        return {"offset": self.path.stat().st_size if self.path.exists() else 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._offset = state["offset"]


def _clocks() -> tuple[float, float]:
    """Wall-clock time, and processor time of all threads of this process, which other processes hardly affect."""
    return time.perf_counter(), time.process_time()


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory in GiB: of the GPU on CUDA, else of the process; NaN on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return float("nan")
    import resource  # Unix only

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
