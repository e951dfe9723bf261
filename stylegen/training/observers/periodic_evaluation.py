"""Evaluation of G_ema during training, and the best snapshot so far."""

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.distributed import is_rank0
from stylegen.errors import UserError
from stylegen.files import write_text
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.card_file import add_card, read_cards
from stylegen.metrics.protocol.registry import better_direction
from stylegen.networks.generator import StyleGenerator
from stylegen.training.step import TrainingStep


class PeriodicEvaluation:
    """Writes snapshots/<kimg>.metrics.json. best.safetensors and best.metrics.json in the run folder belong to the best
    value of the first metric with a better direction.

    Its state is the best value, the time spent in evaluations, and whether one is pending: a run that was killed during
    an evaluation repeats it before training continues.

    Args:
        folder: the run folder; cards go to snapshots/.
        evaluation: metrics and reals; None if no metric is configured.
        info: `info` of the best snapshot, in addition to `images_seen`.
        max_share: skips evaluations between the first and the last while evaluations have taken more than this share of
            the run's time; 1 skips none.

    Attributes:
        best: None, or {"metric", "value", "kimg"}; of two equal values, the earlier one.
    """

    def __init__(
        self, folder: RunFolder, evaluation: Evaluation | None, info: dict[str, Any], max_share: float = 1.0
    ) -> None:
        self.folder, self.evaluation, self.info, self.max_share = folder, evaluation, info, max_share
        self.best: dict[str, Any] | None = None
        self._pending = False
        self._spent = self._elapsed = 0.0  # seconds in evaluations, and in total, before this process
        self._started = time.perf_counter()

    @property
    def is_configured(self) -> bool:
        return self.evaluation is not None

    @property
    def is_pending(self) -> bool:
        return self._pending and self.is_configured

    def begin(self, step: TrainingStep) -> None:
        """Start measuring the run's time; restore best.safetensors in a run that went back."""
        self._started = time.perf_counter()
        if self.best is not None and is_rank0() and self._best_written() != self.best["kimg"]:
            self._restore_best(step)

    def mark_pending(self) -> None:
        """Record in the state that an evaluation is pending, until `evaluate` returns."""
        self._pending = True

    def is_affordable(self) -> bool:
        return self._share() <= self.max_share

    def is_best_at(self, images_seen: int) -> bool:
        """Whether the best evaluation so far was at this time."""
        return self.best is not None and bool(self.best["kimg"] == images_seen / 1000)

    def evaluate(self, step: TrainingStep) -> dict[str, float]:
        """Evaluate on all ranks, write the card and the best snapshot -> values for the log."""
        assert self.evaluation is not None
        begun, seen = time.perf_counter(), step.images_seen
        made = {"snapshot": self.folder.snapshot(seen).name, "kimg": seen / 1000}
        card = self.evaluation.measure_generator(step.G_ema, sampling=made)
        self._pending = False
        if is_rank0():
            add_card(self.folder.metric_card(seen), card.to_dict())
        if self._is_better(card, seen) and is_rank0():
            self._write_best(step.G_ema, seen, card.to_dict())
        self._spent += time.perf_counter() - begun
        values = {f"metric/{name}": value for name, value in card.metrics.items()}
        return values | {"time/evaluation_share": self._share()}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "pending": self._pending, "spent": self._spent, "elapsed": self._total()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self._pending = state["best"], state["pending"]
        self._spent, self._elapsed = state["spent"], state["elapsed"]

    def _is_better(self, card: MetricCard, images_seen: int) -> bool:
        """Compare with the best value and keep the better one. If the metric has changed, the new value is kept."""
        name = next((name for name in card.metrics if better_direction(name) is not None), None)
        if name is None or not math.isfinite(card.metrics[name]):
            return False
        value, sign = card.metrics[name], 1 if better_direction(name) == "lower" else -1
        if self.best is not None and self.best["metric"] == name and sign * self.best["value"] <= sign * value:
            return False
        self.best = {"metric": name, "value": value, "kimg": images_seen / 1000}
        return True

    @property
    def _best_path(self) -> Path:
        return self.folder.root / "best.safetensors"  # beside snapshots/, whose last file is the newest

    def _write_best(self, generator: StyleGenerator, images_seen: int, card: Mapping[str, Any]) -> None:
        path = self._best_path
        save_snapshot(path, generator, {"images_seen": images_seen, **self.info, "best": self.best})
        card = {**card, "sampling": {**card["sampling"], "snapshot": path.name}}
        write_text(path.with_suffix(".metrics.json"), json.dumps(card, indent=2, allow_nan=False) + "\n")

    def _best_written(self) -> float | None:
        """The time of best.safetensors, in kimg; None without it and its card."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            if self._best_path.exists():
                return float(json.loads(self._best_path.with_suffix(".metrics.json").read_bytes())["sampling"]["kimg"])
        return None

    def _restore_best(self, step: TrainingStep) -> None:
        """From G_ema, or from the snapshot of the best evaluation, if that and its card were kept."""
        assert self.best is not None
        seen = round(self.best["kimg"] * 1000)
        card, kept = read_card(self.folder, seen), self.folder.snapshot(seen)
        if card is None:
            return
        if seen == step.images_seen:
            self._write_best(step.G_ema, seen, card)
        elif kept.exists():
            with contextlib.suppress(UserError):  # damaged
                self._write_best(load_snapshot(kept).generator, seen, card)

    def _total(self) -> float:
        return self._elapsed + time.perf_counter() - self._started

    def _share(self) -> float:
        """Share of the run's time spent in evaluations."""
        return self._spent / max(self._total(), 1e-9)


def read_card(folder: RunFolder, images_seen: int) -> dict[str, Any] | None:
    """The card written by training at this time, as JSON values, or None; ignores cards of `evaluate`."""
    cards = [card for card in read_cards(folder.metric_card(images_seen)) if "question" not in card["sampling"]]
    return cards[-1] if cards else None
