"""The progress bar: kimg of total, speed, time left, losses, scores, memory. Plain lines where nobody watches."""

import sys
import time

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stylegen.training.callbacks.base import EveryKimg
from stylegen.training.callbacks.logbook import Record
from stylegen.training.module import StyleGANModule

SHOWN = {
    "growth/alpha": "alpha",
    "loss/G": "G",
    "loss/D": "D",
    "score/real": "real",
    "score/fake": "fake",
    "memory/peak_gb": "GB",
}


class ProgressBar(EveryKimg):
    """Shows the run on standard error, so that standard output stays for results.

    Args:
        total_kimg: length of the run.

    `hear` takes the logbook's records; on a terminal they stand beside the bar, elsewhere each is a line.
    """

    def __init__(self, total_kimg: float) -> None:
        super().__init__(0.1, total_kimg)
        self.console = Console(stderr=True)
        self._text = ""
        self._started = (0.0, 0.0)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def hear(self, record: Record) -> None:
        record = {name: value for name, value in record.items() if value is not None}
        shown = [f"{record['growth/resolution']:g} px"] if "growth/resolution" in record else []
        shown += [f"{label} {record[name]:.2f}" for name, label in SHOWN.items() if name in record]
        shown += [f"{name} {value:.4g}" for name, value in record.items() if name.startswith("metric/")]
        speed = [f"{record['time/sec_per_kimg']:.2f} s/kimg"] if "time/sec_per_kimg" in record else []
        line = "  ".join(speed + shown)
        if speed:
            self._text = line
        if not self.console.is_terminal:
            total = self.total / 1000
            print(f"{record['kimg']:9.3f}/{total:g} kimg  {self._eta(record['kimg'])}  {line}", file=sys.stderr)

    def _eta(self, kimg: float) -> str:
        start, since = self._started
        elapsed, left = time.perf_counter() - since, max(self.total / 1000 - kimg, 0)
        seconds = int(elapsed * left / max(kimg - start, 1e-9))
        return f"left {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, StyleGANModule)
        self._started = (pl_module.images_seen / 1000, time.perf_counter())
        if self.console.is_terminal and trainer.is_global_zero:
            self._progress = Progress(
                TextColumn("{task.completed:.1f}/{task.total:g} kimg"),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"),
                console=self.console,
                refresh_per_second=2,
            )
            self._progress.start()
            self._task = self._progress.add_task("", total=self.total / 1000, text="")
            self.act(trainer, pl_module)

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=module.images_seen / 1000, text=self._text)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
