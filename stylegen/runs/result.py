"""The result of a training run, or the exception of a run that stopped early."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.distributed import is_rank0
from stylegen.errors import Stopped
from stylegen.launching import REQUEUE
from stylegen.metrics.protocol.card import describe
from stylegen.training.lightning.slurm import requeue_job
from stylegen.training.observers.periodic_evaluation import read_card


@dataclass(frozen=True)
class TrainResult:
    """The last files of a run.

    Attributes:
        folder: the run folder, with snapshots/ and checkpoints/.
        grid, snapshot: paths of the last ones.
        metrics: the last evaluation, one line per metric.
        kimg: length of the run.
        figures: plot of the metrics and animation of the samples, if they exist.
        supports_mixing: whether the network has styles to mix.
        already_finished: the run had reached its end before this command.
    """

    folder: Path
    grid: Path
    snapshot: Path
    metrics: list[str]
    kimg: float
    figures: Sequence[Path] = ()
    supports_mixing: bool = True
    already_finished: bool = False

    def __str__(self) -> str:
        where = shlex.quote(str(self.folder))
        figure = "mixing layers=coarse" if self.supports_mixing else "interpolation seeds=0-7"
        finished = f" is already finished at {self.kimg:g} kimg; a larger total_kimg continues it"
        lines = [
            f"run       {self.folder}{finished if self.already_finished else ''}",
            f"samples   {self.grid}",
            *[f"figures   {', '.join(map(str, self.figures))}"] * bool(self.figures),
            f"snapshot  {self.snapshot}",
            f"metrics   {'; '.join(self.metrics) or f'python -m stylegen evaluate snapshot={where} computes them'}",
            f"next      python sample.py snapshot={where} mode={figure}",
        ]
        return "\n".join(lines)


def read_result(
    folder: RunFolder, images_seen: int, supports_mixing: bool = True, already_finished: bool = False
) -> TrainResult:
    """The result of a run that has ended at `images_seen`.

    Args:
        supports_mixing: whether the network has styles to mix.
        already_finished: see `TrainResult`.
    """
    card = read_card(folder, images_seen)
    return TrainResult(
        folder=folder.root,
        grid=folder.sample(images_seen),
        snapshot=folder.snapshot(images_seen),
        metrics=describe(card) if card else [],
        kimg=images_seen / 1000,
        figures=[path for path in (folder.metrics_plot, folder.animation) if path.exists()],
        supports_mixing=supports_mixing,
        already_finished=already_finished,
    )


def early_end(folder: RunFolder, images_seen: int, number: int | None) -> Stopped:
    """The exception of a run that stopped early, with a message on rank 0. Requeues a SLURM job on SIGUSR1.

    Args:
        number: the received signal, as in `signal`; None for the time limit.
    """
    status = 0 if number is None else 128 + number
    if not is_rank0():
        return Stopped("", 0 if number == REQUEUE else status)
    stopped = f"stopped at {images_seen / 1000:g} kimg"
    message = f"{stopped}; the same command with output_dir={folder.root} continues"
    if number is None:
        return Stopped(f"max_hours reached: {message}", status)
    if number == REQUEUE:
        problem = requeue_job()
        if problem is None:
            return Stopped(f"{stopped}; the job was requeued", 0)
        message = f"warning: the job could not be requeued ({problem}). The checkpoint is safe: {message}"
    return Stopped(message, status)
