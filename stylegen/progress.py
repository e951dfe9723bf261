"""Progress bars on standard error, so that standard output is kept for results."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class ProgressBars:
    """Context manager: one bar for each named task, with counts, elapsed and remaining time; shown from the first call.

    Args:
        transient: remove the bars at the end.
    """

    def __init__(self, transient: bool = True) -> None:
        from rich import progress  # rich is slow to import, and most commands show no bar
        from rich.console import Console

        self._progress = progress.Progress(
            "{task.description}",
            progress.BarColumn(),
            "{task.completed:.8g}/{task.total:.8g}",
            progress.TimeElapsedColumn(),
            "left:",
            progress.TimeRemainingColumn(),
            "{task.fields[text]}",
            console=Console(stderr=True),
            transient=transient,
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> "ProgressBars":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and restore the cursor of the terminal."""
        if self._tasks:
            self._progress.stop()

    def show(self, task: str, done: float, total: float, text: str = "") -> None:
        """Set the progress of `task`, with a text after its bar."""
        if not self._tasks:
            self._progress.start()
        if task not in self._tasks:  # exclude earlier work from the speed
            self._tasks[task] = self._progress.add_task(task, total=total, completed=done, text=text)  # type: ignore[arg-type]
        self._progress.update(self._tasks[task], completed=done, total=total, text=text)


def show_progress(items: Iterable[T], task: str, total: int, done: int = 0) -> Iterator[T]:
    """Yields `items` with a progress bar.

    Args:
        total: number of items, including those done before.
        done: number of items done by an interrupted run.
    """
    with ProgressBars(transient=False) as bars:
        bars.show(task, done, total)
        for count, item in enumerate(items, done + 1):
            yield item
            bars.show(task, count, total)
