"""Progress of a training: a bar on a terminal, lines elsewhere."""

import threading
import time

from rich.console import Console

from stylegen.distributed import is_rank0
from stylegen.progress import ProgressBars
from stylegen.training.observers.metrics_log import Record
from stylegen.training.run_log import RunLog

SHOWN = {
    "growth/alpha": "alpha",
    "loss/G": "G",
    "loss/D": "D",
    "score/real": "real",
    "score/fake": "fake",
    "memory/peak_gb": "GB",
}
_FIRST = 30.0  # seconds without a line before the next step prints one; doubled each time
_LONGEST = 600.0
_FIRST_STEP = 45.0  # seconds before a line reports that the first step is still running
_REFRESH = 100  # images between two updates of the bar


class ProgressBar:
    """Writes to standard error, and lines also to log.txt; standard output is for results.

    Each record is shown next to the bar, or as a line without a terminal. Slow steps print lines before the first
    record is due.

    Args:
        total_kimg: length of the run.
        log: writes log.txt.
    """

    def __init__(self, total_kimg: float, log: RunLog | None = None) -> None:
        self.total, self.console = round(total_kimg * 1000), Console(stderr=True)
        self.run_log = log or RunLog(None)
        self._text = ""
        self._started = (0.0, 0.0)
        self._printed, self._patience = 0.0, _FIRST
        self._first_step: threading.Timer | None = None
        self._bars: ProgressBars | None = None

    def show(self, record: Record) -> None:
        record = {name: value for name, value in record.items() if value is not None}
        shown = [f"{record['growth/resolution']:g} px"] if "growth/resolution" in record else []
        shown += [f"{label} {record[name]:.2f}" for name, label in SHOWN.items() if name in record]
        shown += [f"{name} {value:.4g}" for name, value in record.items() if name.startswith("metric/")]
        speed = [f"{record['time/sec_per_kimg']:.2f} s/kimg"] if "time/sec_per_kimg" in record else []
        line = "  ".join(speed + shown)
        if speed:
            self._text = line
        self._print(record["kimg"], f"{self._eta(record['kimg'])}  {line}")

    def _print(self, kimg: float, text: str) -> None:
        self._printed = time.perf_counter()
        self.run_log.write(f"{kimg:9.3f}/{self.total / 1000:g} kimg  {text}", terminal=not self.console.is_terminal)

    def _eta(self, kimg: float) -> str:
        start, since = self._started
        elapsed, left = time.perf_counter() - since, max(self.total / 1000 - kimg, 0)
        seconds = int(elapsed * left / max(kimg - start, 1e-9))
        days = f"{seconds // 86400} d " if seconds >= 86400 else ""
        return f"left {days}{seconds // 3600 % 24}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def update(self, before: int, after: int) -> None:
        """After a step from `before` to `after` images seen: move the bar, or print a line if steps are slow."""
        if self._first_step is not None:
            self._first_step.cancel()
        if is_rank0() and time.perf_counter() - self._printed > self._patience:
            self._patience = min(2 * self._patience, _LONGEST)
            kimg, (start, since) = after / 1000, self._started
            speed = (time.perf_counter() - since) / max(kimg - start, 1e-9)
            self._print(kimg, f"{self._eta(kimg)}  {speed:.2f} s/kimg")
        if self._bars is not None and (after >= self.total or after // _REFRESH > before // _REFRESH):
            self._move(after)

    def begin(self, images_seen: int) -> None:
        """Start the timers; called before the first step."""
        self._started = (images_seen / 1000, time.perf_counter())
        self._printed = self._started[1]
        if not is_rank0():
            return
        message = (images_seen / 1000, f"the first step has taken {_FIRST_STEP:g} s so far")
        self._first_step = threading.Timer(_FIRST_STEP, self._print, message)
        self._first_step.daemon = True
        self._first_step.start()
        if self.console.is_terminal:
            self._bars = ProgressBars(transient=False)
            self._move(images_seen)

    def _move(self, images_seen: int) -> None:
        if self._bars is not None:
            self._bars.show("kimg", images_seen / 1000, self.total / 1000, self._text)

    def close(self) -> None:
        if self._first_step is not None:
            self._first_step.cancel()
        if self._bars is not None:
            self._bars.close()
            self._bars = None
