"""Times of repeated work on any device, their spread, and the peak of memory."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Stopwatch:
    """Seconds between consecutive marks.

    On CUDA a mark is an event in the stream. The host does not wait, so the work between two marks takes as long as in
    a training that is not measured; `seconds` waits once, at the end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._marks = device, list[Any]()

    def mark(self) -> None:
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._device))
            self._marks.append(event)
            return
        if self._device.type == "mps":
            torch.mps.synchronize()
        self._marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            return [first.elapsed_time(second) / 1000 for first, second in pairs]
        return [second - first for first, second in pairs]


def timed(
    work: Callable[[], Any], device: torch.device, *, repetitions: int = 1, warm_up: int = 1, seconds: float = 0
) -> list[float]:
    """Seconds of each repetition of `work`, after `warm_up` more.

    Args:
        repetitions, seconds: the measurement lasts at least this number and this time.
    """
    for _ in range(warm_up):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    watch, begin, done = Stopwatch(device), time.perf_counter(), 0
    watch.mark()
    while done < repetitions or time.perf_counter() - begin < seconds:
        work()
        watch.mark()
        done += 1
    return watch.seconds()


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a measurement."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def of_rate(self, amount: float) -> "Spread":
        """`amount` per second, from seconds."""
        return Spread(amount / self.median, amount / self.high, amount / self.low, self.count)

    def times(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.count)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


class PeakMemory:
    """The peak of memory since `reset`: allocated by PyTorch on CUDA, resident memory of this process otherwise."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None

    def reset(self) -> None:
        """Start again from the memory in use. Only Linux can do this for the resident memory."""
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        elif _CLEAR.exists():
            try:
                _CLEAR.write_text("5")
            except OSError:  # not permitted in some containers: the peak of the whole process is reported
                return

    def bytes(self) -> int:
        if self._cuda is not None:
            return torch.cuda.max_memory_allocated(self._cuda)
        if _STATUS.exists():
            return _status("VmHWM")
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def in_use(self) -> int:
        """Memory in use now; where it is unknown, the peak."""
        if self._cuda is not None:
            return torch.cuda.memory_allocated(self._cuda)
        return _status("VmRSS") if _STATUS.exists() else self.bytes()


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
