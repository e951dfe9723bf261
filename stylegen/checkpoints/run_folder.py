"""Files of a run.

runs/<name>/
    config.yaml   log.txt   metrics.jsonl   samples/<kimg>.png   snapshots/<kimg>.safetensors   checkpoints/last.ckpt
    metrics.png   samples.webp
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stylegen.checkpoints.snapshot import kimg_name
from stylegen.errors import RunError, UserError

_KIMG = r"\d{6,}\.\d{3}"  # see `kimg_name`
_RUN_KEYS = ("total_kimg", "generator", "discriminator")  # at the top level of every run's config.yaml
_MAX_CONFIG_BYTES = 2**20
_MAX_LINE_BYTES = 2**16


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; nothing is created until `prepare`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def log(self) -> Path:
        """Terminal output without the progress bar."""
        return self.root / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def metrics_plot(self) -> Path:
        return self.root / "metrics.png"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def saved(self) -> Path:
        """An empty file that records that a checkpoint was written, even if it was deleted later."""
        return self.root / ".saved"

    def numbered_checkpoints(self) -> list[Path]:
        """checkpoints/<kimg>.ckpt, newest first."""
        return sorted(_named(self.checkpoint.parent, ".ckpt"), reverse=True)

    def checkpoints(self) -> list[Path]:
        """Existing checkpoints: last.ckpt, the numbered ones, newest first, and best.ckpt."""
        best = self.checkpoint.with_name("best.ckpt")
        return [path for path in (self.checkpoint, *self.numbered_checkpoints(), best) if path.is_file()]

    def sample(self, images_seen: int) -> Path:
        return self.root / "samples" / f"{kimg_name(images_seen)}.png"

    def samples(self) -> list[Path]:
        """samples/<kimg>.png, oldest first."""
        return sorted(_named(self.root / "samples", ".png"))

    @property
    def animation(self) -> Path:
        """The sample grids one after the other."""
        return self.root / "samples.webp"

    @property
    def reals(self) -> Path:
        """Images of the dataset in the layout of the samples."""
        return self.root / "samples" / "reals.png"

    def snapshot(self, images_seen: int) -> Path:
        return self.root / "snapshots" / f"{kimg_name(images_seen)}.safetensors"

    def snapshots(self) -> list[Path]:
        """snapshots/<kimg>.safetensors, oldest first."""
        return sorted(_named(self.root / "snapshots", ".safetensors"))

    def metric_card(self, images_seen: int) -> Path:
        """<snapshot>.metrics.json, in the same folder."""
        return self.snapshot(images_seen).with_suffix(".metrics.json")

    def is_run(self) -> bool:
        """Whether the folder holds a run: a config.yaml with the settings that all runs have."""
        try:
            with self.config.open("rb") as file:
                text = file.read(_MAX_CONFIG_BYTES).decode("utf-8", "replace")
        except OSError:
            return False
        return all(re.search(rf"^{key}:", text, re.MULTILINE) for key in _RUN_KEYS)

    def is_vacant(self) -> bool:
        """Whether the folder is missing, empty, or has hidden files only."""
        return not self.root.is_dir() or all(path.name.startswith(".") for path in self.root.iterdir())

    def last_output(self) -> int:
        """Images seen at the newest record, sample or snapshot; 0 without any."""
        names = [*_named(self.root / "samples", ".png"), *_named(self.root / "snapshots", ".safetensors")]
        return max([round(float(path.stem) * 1000) for path in names] + [self._last_record()])

    def _last_record(self) -> int:
        """Images seen at the last complete line of metrics.jsonl."""
        try:
            with self.metrics.open("rb") as file:
                file.seek(max(0, self.metrics.stat().st_size - _MAX_LINE_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return 0
        for line in reversed(lines):
            with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
                return round(json.loads(line)["kimg"] * 1000)
        return 0

    def prepare(self, new: bool) -> None:
        """Create the folder; for a new run, delete results of an earlier attempt.

        Deletes only files that a run writes, and only in the folder of a run.

        Raises:
            UserError: the folder is not writable.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.root, os.W_OK | os.X_OK)
        except OSError as error:
            raise _not_writable(self.root, error.strerror or str(error)) from error
        if not writable:
            raise _not_writable(self.root, "permission denied")
        if new and self.is_run():
            for path in self._results():
                path.unlink(missing_ok=True)

    def remove_after(self, images_seen: int) -> None:
        """Delete samples, and snapshots with their metrics, of a later state of the run: training repeats that part."""
        for path in self._numbered_results():
            match = re.match(_KIMG, path.name)
            if match and match[0] > kimg_name(images_seen):
                path.unlink(missing_ok=True)
        card = self.root / "best.metrics.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
            if round(json.loads(card.read_bytes())["sampling"]["kimg"] * 1000) > images_seen:
                self.root.joinpath("best.safetensors").unlink(missing_ok=True)
                card.unlink()

    def _results(self) -> Iterator[Path]:
        yield from (self.metrics, self.saved, self.reals, self.metrics_plot, self.animation)
        yield from (self.root / "best.safetensors", self.root / "best.metrics.json")
        yield from self._numbered_results()

    def _numbered_results(self) -> Iterator[Path]:
        yield from _named(self.root / "samples", ".png")
        for suffix in (".safetensors", ".metrics.json"):
            yield from _named(self.root / "snapshots", suffix)

    def check_exists(self) -> None:
        """Raise RunError if the folder was deleted during training."""
        if not self.root.is_dir():
            raise RunError(f"the run folder {self.root} was deleted during training, with its checkpoints")


def _named(folder: Path, suffix: str) -> list[Path]:
    """The files <kimg><suffix> of a folder."""
    pattern = re.compile(_KIMG + re.escape(suffix))
    return [path for path in folder.glob(f"*{suffix}") if pattern.fullmatch(path.name)]


def next_run_folder(parent: Path, name: str) -> RunFolder:
    """Create `parent`/00007-<name>, numbered after the highest existing one."""
    pattern = re.compile(r"(\d{5})-.*")
    slug = re.sub(r"[^\w.-]+", "-", name).strip("-") or "run"
    try:
        numbers = [int(m[1]) for p in parent.glob("*") if (m := pattern.fullmatch(p.name))] if parent.is_dir() else []
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(max(numbers, default=-1) + 1):
            root = parent / f"{number:05d}-{slug}"
            with contextlib.suppress(FileExistsError):  # runs that start at the same time get different numbers
                root.mkdir()
                return RunFolder(root)
    except OSError as error:
        raise _not_writable(parent, error.strerror or str(error)) from error
    raise AssertionError("unreachable")


def _not_writable(path: Path, reason: str) -> UserError:
    return UserError(
        f"output_dir={path}", rule=f"it cannot be written ({reason})", fix="Use output_dir= with a writable folder"
    )
