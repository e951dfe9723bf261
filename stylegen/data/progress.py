"""One progress bar for the long works on datasets, on standard error, with the time that is left."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def show_progress(items: Iterable[T], what: str, total: int, done: int = 0) -> Iterator[T]:
    """Pass `items` on and count them.

    Args:
        what: stands before the bar.
        total: how many there are, those `done` before included.
        done: how many were done before, by an interrupted run.
    """
    columns = (
        TextColumn("{task.description}"),
        *(BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total, completed=done)
        for item in items:
            yield item
            progress.advance(task)
