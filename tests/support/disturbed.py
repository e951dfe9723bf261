"""Training with a planned disturbance: `python -m tests.support.disturbed KIND RANK COUNT BYTE overrides...`.

In the process with this local rank:

    sig..., raise             at the beginning of phase number COUNT, in the middle of a step: sigkill, ... to itself,
                              sigterm to the command, or an exception
    kill_save, full           in save number COUNT, after BYTE bytes of the file: SIGKILL, or the error of a full disk;
                              for kill_save, -1 is before the file is renamed, -2 after
    calls                     nothing; each process prints how often it called torch's collectives in phases 1 to COUNT
    none                      nothing

Every process writes its id to the folder $DISTURBED_PIDS, if set.
"""

import errno
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch.distributed as dist

from stylegen.__main__ import main
from stylegen.training.phases import Phase


def at_phase(number: int, act: Any) -> None:
    backward, count = Phase.backward, iter(range(1, 10**9))

    def counted(self: Phase, *arguments: Any) -> Any:
        if next(count) == number:
            act()
        return backward(self, *arguments)

    Phase.backward = counted


class Limited:
    """A file that refuses writes after `limit` bytes."""

    def __init__(self, file: Any, limit: int, accident: Any) -> None:
        self.file, self.room, self.accident = file, limit, accident

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            self.file.write(bytes(data)[: self.room])
            self.file.flush()
            self.accident()
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


def in_save(number: int, byte: int, accident: Any) -> None:
    opened, renamed, saves = Path.open, Path.replace, Counter()

    def limited(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(self, mode, *arguments, **options)
        if mode == "wb" and ".ckpt." in self.name and self.suffix == ".partial":
            saves["opened"] += 1
            if saves["opened"] == number and byte >= 0:
                return Limited(file, byte, accident)
        return file

    def stopped(self: Path, target: Any) -> Any:
        numbered = Path(target).name[0].isdigit() and Path(target).suffix == ".ckpt"
        saves["renamed"] += numbered
        here = numbered and saves["renamed"] == number
        if here and byte == -1:
            accident()
        done = renamed(self, target)
        if here and byte == -2:
            accident()
        return done

    Path.open, Path.replace = limited, stopped


def count_collectives(phases: int) -> None:
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        call = getattr(dist, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return call(*arguments, **options)

        setattr(dist, name, counted)

    for name in ("all_reduce", "all_gather", "broadcast", "barrier"):
        count(name)
    at_phase(1, counts.clear)
    at_phase(phases, lambda: os.write(2, f"\ncollectives {json.dumps(counts)}\n".encode()))


def kill(number: int) -> None:
    """Send a signal to this process; SIGTERM to the command, which is the parent of a worker."""
    worker = number == signal.SIGTERM and "LOCAL_RANK" in os.environ
    os.kill(os.getppid() if worker else os.getpid(), number)


def fill() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def fail() -> None:
    raise ValueError("planted")


def disturb(kind: str, count: int, byte: int) -> None:
    if kind.startswith("sig"):
        at_phase(count, lambda: kill(getattr(signal, kind.upper())))
    elif kind == "raise":
        at_phase(count, fail)
    elif kind in ("kill_save", "full"):
        in_save(count, byte, fill if kind == "full" else lambda: kill(signal.SIGKILL))


def arm(kind: str, rank: str, *numbers: str) -> None:
    """Installs the disturbance in a training process."""
    own = os.environ.get("LOCAL_RANK", "0")
    if "DISTURBED_PIDS" in os.environ:
        (Path(os.environ["DISTURBED_PIDS"]) / own).write_text(str(os.getpid()))
    if own == rank:
        disturb(kind, *map(int, numbers))
    if kind == "calls":
        count_collectives(int(numbers[0]))


def armed(disturbance: list[str], work: Any, *arguments: Any) -> Any:
    """Work of one of several processes, with the disturbance."""
    arm(*disturbance)
    return work(*arguments)


if __name__ == "__main__":
    from stylegen.runs import run
    from tests.support import disturbed

    launch, disturbance = run.launch, sys.argv[1:5]
    run.launch = lambda *arguments, **options: launch(disturbed.armed, disturbance, *arguments, **options)
    devices = [argument.partition("=")[2] for argument in sys.argv if argument.startswith("trainer.devices=")]
    if devices in ([], ["1"]):
        arm(*disturbance)
    sys.exit(main(["train", *sys.argv[5:]]))
