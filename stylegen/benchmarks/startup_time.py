"""`bench what=startup`: wall time of imports and commands, each in processes of its own."""

import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegen import randomness
from stylegen.benchmarks.benchmark_report import Report, Table
from stylegen.benchmarks.machine import describe_machine
from stylegen.benchmarks.stopwatch import Spread
from stylegen.checkpoints.snapshot import find_snapshot, save_snapshot
from stylegen.config.settings import BenchSettings
from stylegen.config.train_composition import compose_train
from stylegen.errors import RunError
from stylegen.files import temporary_folder
from stylegen.runs.build import build_dataset, new_generator

_SECONDS = 300  # time limit of one command
_SLOWEST = 5
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*([\w.]+)")  # of python -X importtime


@dataclass(frozen=True)
class StartupTime:
    """Of one command.

    Attributes:
        seconds: one value for each repetition.
        modules: number imported.
        packages: seconds of imports by top-level package, without those that it imports; the largest first.
    """

    command: str
    seconds: list[float]
    modules: int
    packages: dict[str, float]


def startup_time(settings: BenchSettings) -> Report:
    """Measure imports, `--help`, `--cfg job`, and one image from a snapshot.

    Raises:
        UserError: a bad snapshot.
        RunError: a command failed.
    """
    with temporary_folder() as folder:
        commands = _commands(_snapshot(settings, folder), folder)
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(settings.repetitions + 1):
            for name, arguments in commands.items():
                spent = _run(arguments)[0]
                if number:  # the first one fills the disk cache
                    seconds[name].append(spent)
        times = [StartupTime(name, seconds[name], *_imports(arguments)) for name, arguments in commands.items()]
    machine = describe_machine(torch.device("cpu"))
    return Report("startup", [_table(times)], {"machine": machine, "commands": times})


def _snapshot(settings: BenchSettings, folder: Path) -> Path:
    """The given snapshot, or one of the default recipe with random weights."""
    if settings.snapshot is not None:
        return find_snapshot(settings.snapshot)
    train = compose_train([])
    with randomness.seeded_construction(train.seed, "weights/G"):
        generator = new_generator(train.generator, build_dataset(train).spec)
    save_snapshot(folder / "generator.safetensors", generator, {"images_seen": 0})
    return folder / "generator.safetensors"


def _commands(snapshot: Path, folder: Path) -> dict[str, list[str]]:
    """Name -> arguments of the Python interpreter."""
    image = [f"snapshot={snapshot.absolute()}", "seeds=0", f"out={(folder / 'image').absolute()}"]
    return {
        "python": ["-c", "pass"],
        "import torch": ["-c", "import torch"],
        "import stylegen": ["-c", "import stylegen"],
        "stylegen --help": ["-m", "stylegen", "--help"],
        "train --help": ["-m", "stylegen", "train", "--help"],
        "train --cfg job": ["-m", "stylegen", "train", "--cfg", "job"],
        "sample, one image": ["-m", "stylegen", "sample", *image],
    }


def _run(arguments: list[str]) -> tuple[float, str]:
    """Seconds, and standard error."""
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"python {' '.join(arguments)} takes more than {_SECONDS} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"python {' '.join(arguments)} fails with status {done.returncode}: {last}")
    return time.perf_counter() - begin, done.stderr


def _imports(arguments: list[str]) -> tuple[int, dict[str, float]]:
    """Number of modules, and seconds by top-level package."""
    found = _LINE.findall(_run(["-X", "importtime", *arguments])[1])
    packages: Counter[str] = Counter()
    for microseconds, module in found:
        packages[module.partition(".")[0]] += int(microseconds)
    return len(found), {name: spent / 1e6 for name, spent in packages.most_common()}


def _table(times: list[StartupTime]) -> Table:
    rows = []
    for each in times:
        spread = Spread.of(each.seconds)
        slow = [f"{name} {spent:.2f}" for name, spent in each.packages.items() if spent >= 0.01]
        row = f"{spread.median:.3f}", f"{spread.low:.3f} to {spread.high:.3f}", str(each.modules)
        rows.append((each.command, *row, ", ".join(slow[:_SLOWEST]) or "-"))
    return Table(
        ("command", "s", "spread", "modules", "seconds of imports, by package"),
        rows,
        [f"wall time of a new process, median and quartiles of {len(times[0].seconds)}"],
    )
