"""Disturbs runs at random moments, continues them with the same command and compares with an undisturbed run.

    python -m tests.support.moments [--count 20] [--seed 0] [--out FILE.md]

One and two processes; SIGTERM in the middle of a step, SIGKILL at a random moment, SIGKILL during a save, a full disk
during a save. Compared bit for bit: every tensor and value of the final checkpoint, the lines of metrics.jsonl (without
time and memory), sample grids and snapshots. Ends with status 1 if anything differs.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.support.tiny import TINY_RUN

ROOT = Path(__file__).parents[2]
RUN = [*TINY_RUN, "regularizers=r1_path_length", "data.use_labels=true", "logger.mode=disabled"]
RUN += ["augment=ada", "augment.preset=bgc", "augment.speed_kimg=0.3", "trainer.accelerator=cpu"]
# No interval is a multiple of another: checkpoints fall between records and save incomplete means.
RUN += ["total_kimg=0.4", "log_every_kimg=0.04", "checkpoint_every_kimg=0.056", "sample_every_kimg=0.08"]
RUN += ["snapshot_every_kimg=0.2"]
PHASES, SAVES = 50 * 2 + 13 + 4, 8  # of such a run: two main phases a step, path length at every 4th, R1 at every 16th
KINDS = ("sigterm", "sigkill", "kill_save", "full")
WORDS = {
    "sigterm": "SIGTERM mid-step",
    "sigkill": "SIGKILL at a random moment",
    "kill_save": "SIGKILL during a save",
    "full": "disk full during a save",
}
STATUS = {"sigterm": 143, "full": 1}


@dataclass
class Moment:
    """One disturbance and its result."""

    kind: str
    processes: int
    rank: int
    count: int
    byte: int
    share: float
    status: int = 0
    ended: float = 0.0
    stopped_at: str = "-"
    fields: int = 0
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "sigkill":
            return f"{100 * self.share:.0f} % of the time, process {self.rank}"
        if self.kind == "sigterm":
            return f"phase {self.count} of {PHASES}, of process {self.rank}"
        place = {-1: "before the renaming", -2: "before the hard link"}.get(self.byte, f"byte {self.byte:,}")
        return f"save {self.count}, {place}"


def command(folder: Path, processes: int, disturbance: tuple[object, ...] = ()) -> list[str]:
    script = ["-m", "tests.support.disturbed", *map(str, disturbance)] if disturbance else [str(ROOT / "train.py")]
    return [sys.executable, *script, *RUN, f"trainer.devices={processes}", f"output_dir={folder}"]


def environment(**extra: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | extra


def undisturbed(folder: Path, processes: int) -> float:
    """Runs without disturbance -> seconds from the first image to the end of training."""
    subprocess.run(command(folder, processes), env=environment(), cwd=ROOT, check=True, capture_output=True)
    first, last = folder / "samples" / "000000.000.png", folder / "checkpoints" / "last.ckpt"
    return last.stat().st_mtime - first.stat().st_mtime


def disturb(moment: Moment, folder: Path, seconds: float) -> str:
    """Run with the disturbance -> standard error. Waits until all processes have ended."""
    pids = folder.with_name(f"{folder.name}-pids")
    pids.mkdir()
    kind = "none" if moment.kind == "sigkill" else moment.kind  # sent from outside
    run = command(folder, moment.processes, (kind, moment.rank, moment.count, moment.byte))
    process = subprocess.Popen(
        run, env=environment(DISTURBED_PIDS=str(pids)), cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    killed = None
    if moment.kind == "sigkill":
        # Measured by checkpoints where possible, so that other load hardly shifts the moment.
        whole, part = divmod(moment.share * (SAVES - 1), 1)
        while process.poll() is None and saves(folder) < whole:
            time.sleep(0.01)
        time.sleep(seconds / SAVES * part)
        os.kill(int((pids / str(moment.rank)).read_text()), 9)
        killed = time.monotonic()
    error = process.communicate(timeout=300)[1]
    while any(alive(int(path.read_text())) for path in pids.iterdir()):
        time.sleep(0.05)
    moment.ended = time.monotonic() - killed if killed else 0.0
    moment.status = process.returncode
    return error


def saves(folder: Path) -> int:
    """Number of checkpoints a run has written; -1 before the first step."""
    newest = max((path.stem for path in (folder / "checkpoints").glob("[0-9]*.ckpt")), default="0")
    return round(float(newest) / 0.056) if (folder / "samples" / "000000.000.png").exists() else -1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """One entry for each field: empty if both are bit-identical, else a description of the difference."""
    if type(a) is not type(b):
        yield f"{where}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, dict):
        if a.keys() != b.keys():
            yield f"{where}: {sorted(map(str, a.keys() ^ b.keys()))} on one side only"
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield f"{where}: {len(a)} and {len(b)} items"
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from differences(x, y, f"{where}/{i}")
    else:
        same = a.dtype == b.dtype and torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        yield "" if same else where


def content(folder: Path) -> dict[str, Any]:
    """Everything that must be equal: the checkpoint, the records, the bytes of samples and snapshots, file names."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    text = (folder / "metrics.jsonl").read_text()
    # Times in records have variable length, so the offset is compared with its own file.
    offset = checkpoint["observers"]["log"].pop("offset")
    for seconds in ("spent", "elapsed"):
        checkpoint["observers"]["evaluation"].pop(seconds)
    records = [json.loads(line) for line in text.splitlines()]
    timed = ("time/", "memory/")
    return {
        "checkpoint": checkpoint,
        "offset is the file's length": offset == len(text.encode()),
        "lines": [{k: v for k, v in record.items() if not k.startswith(timed)} for record in records],
        "files": {p.name: p.read_bytes() for d in ("samples", "snapshots") for p in sorted((folder / d).iterdir())},
        "checkpoints": sorted(p.name for p in (folder / "checkpoints").iterdir()),
    }


def finish_and_compare(moment: Moment, folder: Path, reference: Path) -> None:
    """Repeat the command without the disturbance, and record the differences at the end."""
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if checkpoint.exists():
        moment.stopped_at = f"{torch.load(checkpoint, weights_only=True)['clock']['images_seen'] / 1000:g}"
    done = subprocess.run(
        command(folder, moment.processes), env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        moment.problems = (f"the continuation failed: {done.stderr[-500:]}",)
        return
    found = list(differences(content(folder), content(reference)))
    moment.fields, moment.problems = len(found), tuple(filter(None, found))


def random_moments(count: int, seed: int, size: int) -> Iterator[Moment]:
    """Every kind with one and with two processes, in turn, at random moments.

    Args:
        size: bytes of a checkpoint.
    """
    rng = random.Random(seed)
    for number, (kind, processes) in enumerate(itertools.cycle(itertools.product(KINDS, (1, 2)))):
        if number == count:
            return
        save = kind in ("kill_save", "full")
        rank = 0 if save else rng.randrange(processes)  # the first process writes
        byte = rng.choice([rng.randrange(size)] * 3 + ([-1, -2] if kind == "kill_save" else []))
        last = SAVES if save else PHASES - 20
        yield Moment(kind, processes, rank, rng.randint(1, last), byte, rng.uniform(0, 0.9))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = ["| | processes | what | when | status | shutdown time | resumed from (kimg) | fields | different |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        reference = {n: Path(root) / f"undisturbed-{n}" for n in (1, 2)}
        seconds = {n: undisturbed(folder, n) for n, folder in reference.items()}
        size = (reference[1] / "checkpoints" / "last.ckpt").stat().st_size
        for number, moment in enumerate(random_moments(options.count, options.seed, size), 1):
            folder = Path(root) / f"{number:02d}"
            disturb(moment, folder, seconds[moment.processes])
            finish_and_compare(moment, folder, reference[moment.processes])
            wrong = moment.status == 0 or moment.status != STATUS.get(moment.kind, moment.status)
            failed += bool(moment.problems) or wrong
            ended = f"{moment.ended:.1f} s" if moment.kind == "sigkill" else ""
            cells = [number, moment.processes, WORDS[moment.kind], moment, moment.status, ended]
            cells += [moment.stopped_at, f"{moment.fields:,}", len(moment.problems)]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
            print(lines[-1], *moment.problems, sep="\n  ", flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
