"""`map` over many images on all cores: results in order, bounded memory. Imports no torch.

`Executor.map` submits all items at once and keeps all results in memory if the consumer is slower.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

from stylegen.cpus import available_cores
from stylegen.errors import RunError
from stylegen.files import temporary_folder

T = TypeVar("T")
R = TypeVar("R")

_WAITING_PER_PROCESS = 4
_ITEMS_PER_PROCESS = 64  # with fewer items, starting a process takes longer than the work

_job: Callable[[Any], Any]


def ordered_map(job: Callable[[T], R], items: Sequence[T], processes: int | None = None) -> Iterator[R]:
    """`map(job, items)` on several processes; only a few results per process wait in memory.

    Args:
        job: pickled once per process; it may contain a source, because each process reopens the files.
        items: arguments of the job, pickled one by one.
        processes: 1 works in this process; by default one for each core, fewer for few items.

    Raises:
        RunError: a process died, for example for lack of memory. Exceptions of the job are raised as they are.
    """
    count = min(available_cores(), len(items) // _ITEMS_PER_PROCESS + 1) if processes is None else processes
    if count <= 1:
        yield from map(job, items)
        return
    # spawn: a fork would copy locks that other threads of this process hold
    context = get_context("spawn")
    with (
        temporary_folder() as folder,
        ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(folder / "job",)) as pool,
    ):
        # Not as an argument: a large one blocks if a child dies at start-up.
        (folder / "job").write_bytes(ForkingPickler.dumps(job))
        waiting: deque[Future[Any]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(_call, item))
                if len(waiting) > count * _WAITING_PER_PROCESS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise RunError(
                f"one of {count} worker processes died: it was out of memory (use fewer, for example processes=1), it "
                'was killed, or the main script has no `if __name__ == "__main__":` around its calls'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(path: Path) -> None:
    global _job
    _job = ForkingPickler.loads(path.read_bytes())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent reports it and ends the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker with its parent; it would wait for work forever if the parent is killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    return _job(item)
