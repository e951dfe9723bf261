"""Decides whether a training stops early. All ranks stop after the same step."""

import time

from stylegen.distributed import is_distributed, largest_over_ranks
from stylegen.launching import StopSignals
from stylegen.training.step import TrainingStep

_AGREE_EVERY = 16  # steps between reductions over ranks, which synchronize with the device


class StopRequest:
    """A request to stop, by signal or time limit.

    Args:
        signals: records the signals received.
        max_hours: time limit, counted from construction; None for no limit.

    Attributes:
        signal: the number of the signal that stops the run, the same on all ranks; or None.
    """

    def __init__(self, signals: StopSignals, max_hours: float | None = None) -> None:
        self.signals = signals
        self.deadline = None if max_hours is None else time.monotonic() + max_hours * 3600
        self._agreed_signal: int | None = None

    @property
    def signal(self) -> int | None:
        return self._agreed_signal if is_distributed() else self.signals.received

    def agreed(self, step: TrainingStep) -> bool:
        """Whether the run stops after this step; ranks agree at every 16th step."""
        late = self.deadline is not None and time.monotonic() > self.deadline
        request = float(self.signals.received or 0) or float(late)  # 1 is the time limit; stop signals are above 1
        if not is_distributed():
            return request > 0
        if step.steps % _AGREE_EVERY:
            return False
        request = largest_over_ranks(request, step.device)
        self._agreed_signal = int(request) if request > 1 else None
        return request > 0
