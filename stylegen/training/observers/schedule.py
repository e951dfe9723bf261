"""Runs all observers between training steps, in a fixed order. Observers write files and never change the training;
`TrainingStep` does not depend on them."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from stylegen.distributed import broadcast_from_rank0, is_rank0
from stylegen.training.ema import update_standing_statistics
from stylegen.training.observers.checkpoints import Checkpoints
from stylegen.training.observers.metrics_log import MetricsLog
from stylegen.training.observers.opening import Opening
from stylegen.training.observers.periodic_evaluation import PeriodicEvaluation
from stylegen.training.observers.progress_bar import ProgressBar
from stylegen.training.observers.run_figures import RunFigures
from stylegen.training.observers.samples import SampleGrids, Snapshots
from stylegen.training.observers.stop import StopRequest
from stylegen.training.observers.wandb import WandbRun
from stylegen.training.step import TrainingStep

_USES_EMA = {"sample", "snapshot", "evaluation"}


def is_due(before: int, after: int, every: int, total: int) -> bool:
    """True when a multiple of `every` images is in (before, after], and at the end of the run.

    Args:
        before, after: images seen before and after a step.
        every: interval in images; 0 for the end only.
        total: length of the run in images.
    """
    return after >= total or (every > 0 and after // every > before // every)


@dataclass(frozen=True)
class Intervals:
    """Intervals in kimg, independent of the batch size; 0 for the end of the run only."""

    total: float
    log: float
    sample: float
    snapshot: float
    checkpoint: float
    evaluation: float = 0.0

    def due(self, before: int, after: int) -> set[str]:
        """The names of the intervals that end within a step."""
        total = round(self.total * 1000)
        names = ("log", "sample", "snapshot", "checkpoint", "evaluation")
        return {name for name in names if is_due(before, after, round(getattr(self, name) * 1000), total)}


@dataclass(frozen=True)
class Outputs:
    """The observers of a run."""

    opening: Opening
    progress: ProgressBar
    wandb: WandbRun
    log: MetricsLog
    grids: SampleGrids
    snapshots: Snapshots
    checkpoints: Checkpoints
    evaluation: PeriodicEvaluation
    figures: RunFigures


class Observers:
    """Runs the observers that are due, before the first and after every training step, on all ranks.

    As a context manager, it installs the signal handlers, and closes progress bar and W&B at the end.

    Args:
        intervals: thousands of images between outputs of each kind.
        outputs: the observers.
        stop: signals and the time limit.
        fingerprint: hash of the dataset, for checkpoints: a run continues on the same images only.
    """

    def __init__(self, intervals: Intervals, outputs: Outputs, stop: StopRequest, fingerprint: str) -> None:
        self.intervals, self.outputs, self.stop, self.fingerprint = intervals, outputs, stop, fingerprint
        self._saved_at = -1  # images

    def before_training(self, step: TrainingStep) -> None:
        """Once, before the first step: announce the run, and repeat an evaluation that a killed run did not finish."""
        out, new = self.outputs, step.images_seen == 0
        out.wandb.start()
        out.opening.announce(step)
        if new:
            update_standing_statistics(step.G_ema, step.random_inputs)
        out.log.begin(step.images_seen)
        if new:
            self._write_grid(step)
        out.checkpoints.begin(step.images_seen, out.evaluation.best)
        out.evaluation.begin(step)
        if out.evaluation.is_pending:
            self._evaluate(step)
            self._save(step)
        out.progress.begin(step.images_seen)

    def after_step(self, step: TrainingStep, before: int) -> bool:
        """Run the observers that are due -> whether training must stop.

        Args:
            before: images seen before the step.
        """
        out, due = self.outputs, self.intervals.due(before, step.images_seen)
        out.progress.update(before, step.images_seen)
        if due & _USES_EMA:
            update_standing_statistics(step.G_ema, step.random_inputs)
        if "log" in due:
            self._record(step, out.log.means(step))
        if "sample" in due:
            self._write_grid(step)
        if "snapshot" in due:
            out.snapshots.write(step)
        if evaluated := "evaluation" in due and self._may_evaluate(step):
            self._evaluate(step)
        self._write_figures(evaluated, last=self._is_last(step))
        if "checkpoint" in due or evaluated:
            self._save(step)
        stop = self.stop.agreed(step) and not self._is_last(step)
        if stop and self._saved_at != step.images_seen:
            self._save(step)
        return stop

    def state_dict(self) -> dict[str, Any]:
        """The state with which a continued run writes the same files as an uninterrupted one."""
        return {"log": self.outputs.log.state_dict(), "evaluation": self.outputs.evaluation.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.outputs.log.load_state_dict(state["log"])
        self.outputs.evaluation.load_state_dict(state["evaluation"])

    def _may_evaluate(self, step: TrainingStep) -> bool:
        """Whether there is time to evaluate, by rank 0's timer; the last evaluation is never skipped."""
        evaluation = self.outputs.evaluation
        return evaluation.is_configured and (self._is_last(step) or broadcast_from_rank0(evaluation.is_affordable))

    def _evaluate(self, step: TrainingStep) -> None:
        """Save a checkpoint, then evaluate: evaluations take long and may fail, and a killed run repeats them."""
        self.outputs.evaluation.mark_pending()
        self._save(step)
        self._record(step, self.outputs.evaluation.evaluate(step))

    def _record(self, step: TrainingStep, values: dict[str, Any]) -> None:
        if is_rank0():
            record = self.outputs.log.write(step.images_seen, values)
            self.outputs.progress.show(record)
            self.outputs.wandb.log(record)

    def _write_grid(self, step: TrainingStep) -> None:
        if is_rank0():
            self.outputs.wandb.log_grid(step.images_seen / 1000, self.outputs.grids.write(step))

    def _write_figures(self, evaluated: bool, last: bool) -> None:
        if is_rank0() and (evaluated or last):
            self.outputs.figures.plot()
        if is_rank0() and last:
            self.outputs.figures.animate()

    def _save(self, step: TrainingStep) -> None:
        content = step.state_dict() | {"fingerprint": self.fingerprint, "observers": self.state_dict()}
        self.outputs.checkpoints.save(step, content, best=self.outputs.evaluation.is_best_at(step.images_seen))
        self._saved_at = step.images_seen

    def _is_last(self, step: TrainingStep) -> bool:
        return step.images_seen >= round(self.intervals.total * 1000)

    def __enter__(self) -> "Observers":
        self.stop.signals.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop.signals.restore()
        self.outputs.progress.close()
        self.outputs.wandb.close()
