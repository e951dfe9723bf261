"""Work on many pictures with all cores: results in order, memory bounded. Imports no torch."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

from stylegen.errors import RunError, UserError
from stylegen.files import temporary_folder

T = TypeVar("T")
R = TypeVar("R")

_WAITING_PER_PROCESS = 4
_WORTH_A_PROCESS = 64  # pictures; below this, starting it takes longer than the work

_job: Callable[[Any], Any]


def cores() -> int:
    """Processor cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(job: Callable[[T], R], items: Sequence[T], processes: int | None = None) -> Iterator[R]:
    """`map(job, items)` by several processes; at most a few results for each process wait in memory.

    Args:
        job: pickled once for each process, so it may carry a source; what it opens, it opens there.
        items: what the job is called with, one after the other.
        processes: how many; by default one for each core, fewer when there is little to do. One works in
            this process.

    Raises:
        UserError: as raised by the job.
        RunError: a process died, as when the machine runs out of memory.
    """
    count = min(cores(), len(items) // _WORTH_A_PROCESS + 1) if processes is None else processes
    if count <= 1:
        yield from map(job, items)
        return
    # spawn: a fork would copy the threads' locks of whatever else this process runs
    context = get_context("spawn")
    with (
        _stored(job) as path,
        ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(path,)) as pool,
    ):
        waiting: deque[Future[Any]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(_call, item))
                if len(waiting) > count * _WAITING_PER_PROCESS:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        except BrokenProcessPool as error:
            raise RunError(
                f"one of {count} worker processes died: for lack of memory (use fewer, as with processes=1), because "
                'it was killed, or because the main script has no `if __name__ == "__main__":` before what it does'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _stored(job: Callable[[Any], Any]) -> Iterator[str]:
    """The job in a file: a child that dies while it starts leaves its parent waiting if its arguments are long."""
    with temporary_folder() as folder:
        path = folder / "job"
        path.write_bytes(ForkingPickler.dumps(job))
        yield str(path)


def _start(path: str) -> None:
    global _job
    _job = ForkingPickler.loads(Path(path).read_bytes())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells the person, and ends the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    try:
        return _job(item)
    except UserError as error:  # its constructor wants keywords, which pickled exceptions do not get
        return _Refusal(error.problem, error.rule, error.fix)


class _Refusal(tuple[str, str, str]):
    def __new__(cls, *parts: str) -> "_Refusal":
        return super().__new__(cls, parts)

    def __getnewargs__(self) -> tuple[str, ...]:
        return tuple(self)


def _result(future: Future[Any]) -> Any:
    result = future.result()
    if isinstance(result, _Refusal):
        problem, rule, fix = result
        raise UserError(problem, rule=rule, fix=fix)
    return result
