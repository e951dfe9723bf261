"""The progress bar: kimg of total, speed, time left, losses, scores, memory. Plain lines where nobody watches."""

import threading
import time
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stylegen.training.lightning.callbacks.every_kimg import EveryKimg
from stylegen.training.lightning.callbacks.logbook import Record
from stylegen.training.lightning.module import StyleGANModule
from stylegen.training.lightning.run_log import RunLog

SHOWN = {
    "growth/alpha": "alpha",
    "loss/G": "G",
    "loss/D": "D",
    "score/real": "real",
    "score/fake": "fake",
    "memory/peak_gb": "GB",
}


_FIRST = 30.0  # seconds without a line, after which the next step brings one; doubled each time
_LONGEST = 600.0
_FIRST_STEP = 45.0  # seconds, after which a line says that the first step is still under way


class ProgressBar(EveryKimg):
    """Shows the run on standard error, so that standard output stays for results; log.txt has its lines too.

    Args:
        total_kimg: length of the run.
        log: where lines go.

    `hear` takes the logbook's records; on a terminal they stand beside the bar, elsewhere each is a line. Where steps
    are slow, a line comes before the first record is due.
    """

    def __init__(self, total_kimg: float, log: RunLog | None = None) -> None:
        super().__init__(0.1, total_kimg)
        self.console = Console(stderr=True)
        self.run_log = log or RunLog(None)
        self._text = ""
        self._started = (0.0, 0.0)
        self._said, self._patience = 0.0, _FIRST
        self._first_step: threading.Timer | None = None
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
        self._say(record["kimg"], f"{self._eta(record['kimg'])}  {line}")

    def _say(self, kimg: float, text: str) -> None:
        self._said = time.perf_counter()
        self.run_log.say(f"{kimg:9.3f}/{self.total / 1000:g} kimg  {text}", terminal=not self.console.is_terminal)

    def _eta(self, kimg: float) -> str:
        start, since = self._started
        elapsed, left = time.perf_counter() - since, max(self.total / 1000 - kimg, 0)
        seconds = int(elapsed * left / max(kimg - start, 1e-9))
        days = f"{seconds // 86400} d " if seconds >= 86400 else ""
        return f"left {days}{seconds // 3600 % 24}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        assert isinstance(pl_module, StyleGANModule)
        if self._first_step is not None:
            self._first_step.cancel()
        if trainer.is_global_zero and time.perf_counter() - self._said > self._patience:
            self._patience = min(2 * self._patience, _LONGEST)
            kimg, (start, since) = pl_module.images_seen / 1000, self._started
            speed = (time.perf_counter() - since) / max(kimg - start, 1e-9)
            self._say(kimg, f"{self._eta(kimg)}  {speed:.2f} s/kimg")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, StyleGANModule)
        self._started = (pl_module.images_seen / 1000, time.perf_counter())
        self._said = self._started[1]
        if trainer.is_global_zero:
            message = (pl_module.images_seen / 1000, f"the first step has taken {_FIRST_STEP:g} s and goes on")
            self._first_step = threading.Timer(_FIRST_STEP, self._say, message)
            self._first_step.daemon = True
            self._first_step.start()
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
        if self._first_step is not None:
            self._first_step.cancel()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
