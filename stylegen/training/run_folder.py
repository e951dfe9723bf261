"""Where a run keeps its files.

runs/<name>/
    config.yaml   metrics.jsonl   samples/<kimg>.png   snapshots/<kimg>.safetensors   checkpoints/last.ckpt
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from stylegen.checkpoints.snapshot import kimg_name
from stylegen.errors import UserError


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; nothing is created until `prepare`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    def numbered_checkpoints(self) -> list[Path]:
        """checkpoints/<kimg>.ckpt, newest first."""
        return sorted(self.checkpoint.parent.glob("[0-9]*.ckpt"), reverse=True)

    def sample(self, images_seen: int) -> Path:
        return self.root / "samples" / f"{kimg_name(images_seen)}.png"

    def snapshot(self, images_seen: int) -> Path:
        return self.root / "snapshots" / f"{kimg_name(images_seen)}.safetensors"

    def score(self, images_seen: int) -> Path:
        """The metric card of a snapshot, beside it."""
        return self.snapshot(images_seen).with_suffix(".metrics.json")

    def prepare(self, new: bool) -> None:
        """Create the folder; for a new run, clear what an attempt without a checkpoint may have left in it.

        Raises:
            UserError: nothing can be written there.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.root, os.W_OK | os.X_OK)
        except OSError as error:
            raise _not_writable(self.root, error.strerror or str(error)) from error
        if not writable:
            raise _not_writable(self.root, "permission denied")
        if new:
            self.metrics.unlink(missing_ok=True)
            for pattern in ("samples/[0-9]*.png", "snapshots/[0-9]*.safetensors", "snapshots/[0-9]*.metrics.json"):
                for path in self.root.glob(pattern):
                    path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(path)


def next_run_folder(parent: Path, name: str) -> RunFolder:
    """`parent`/00007-<name>, one more than the highest number there."""
    pattern = re.compile(r"(\d{5})-.*")
    numbers = [int(m[1]) for p in parent.glob("*") if (m := pattern.fullmatch(p.name))] if parent.is_dir() else []
    slug = re.sub(r"[^\w.-]+", "-", name).strip("-") or "run"
    for number in itertools.count(max(numbers, default=-1) + 1):
        root = parent / f"{number:05d}-{slug}"
        try:
            root.mkdir(parents=True)  # two runs that start at once get two numbers
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_writable(parent, error.strerror or str(error)) from error
        return RunFolder(root)
    raise AssertionError("unreachable")


def _not_writable(path: Path, reason: str) -> UserError:
    return UserError(
        f"output_dir={path}", rule=f"it cannot be written ({reason})", fix="Name a folder that you may write to"
    )
