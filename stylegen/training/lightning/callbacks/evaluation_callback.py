"""Scores during training: the averaged generator against the dataset, at intervals and at the end."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L

from stylegen import distributed
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.files import write_text
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.card_file import add_card, read_cards
from stylegen.metrics.protocol.registry import sense_of
from stylegen.training.lightning.callbacks.every_kimg import EveryKimg
from stylegen.training.lightning.callbacks.logbook import Logbook
from stylegen.training.lightning.module import StyleGANModule

Score = Callable[..., MetricCard]  # generator, sampling={...} -> card


class EvaluationCallback(EveryKimg):
    """Logs `metric/<id>` and writes the metric card beside the snapshot of the same moment; keeps the best snapshot.

    `best.safetensors` and `best.metrics.json` at the top of the run folder are those of the best first number so far.
    All processes take their share of a score. Its state says what was best, what scores have cost, and whether one is
    owed: a run that is killed while it scores takes that score again before it goes on.

    Args:
        folder: the run's.
        score: generator, sampling -> card; see `score_generator`.
        logbook: where the values go.
        every_kimg, total_kimg: see `EveryKimg`.
        before: called on every rank before a score is taken.
        after: called on every rank with the card's numbers by key.
        info: what the best snapshot says of its training, beside `images_seen`.
        max_share: scores between the first and the last are left out while they have taken more than this share of
            the run's time. 1 leaves none out, and makes their moments a function of the settings alone.
    """

    def __init__(
        self,
        folder: RunFolder,
        score: Score,
        logbook: Logbook,
        every_kimg: float,
        total_kimg: float,
        before: Callable[[L.Trainer, StyleGANModule], None],
        after: Callable[[dict[str, float]], None] | None = None,
        info: dict[str, Any] | None = None,
        max_share: float = 1.0,
    ) -> None:
        super().__init__(every_kimg, total_kimg)
        self.folder, self.score, self.logbook, self.before = folder, score, logbook, before
        self.after, self.info, self.max_share = after, info or {}, max_share
        self.best: dict[str, Any] | None = None
        self._owed = False
        self._spent = self._elapsed = 0.0  # seconds in scores, and in all, of the processes before this one
        self._started = time.perf_counter()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._started = time.perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The score that a killed process owed, now that every callback knows where the run stands."""
        assert isinstance(pl_module, StyleGANModule)
        if self._owed:
            self.before(trainer, pl_module)
            self._take(trainer, pl_module)

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        last = module.images_seen >= self.total
        if not last and distributed.from_first(lambda: self._share() > self.max_share):
            return
        self._owed = True  # the checkpoint that `before` saves says so
        self.before(trainer, module)
        self._take(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "owed": self._owed, "spent": self._spent, "elapsed": self._total()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self._owed = state_dict.get("best"), state_dict.get("owed", False)
        self._spent, self._elapsed = state_dict.get("spent", 0.0), state_dict.get("elapsed", 0.0)

    def _take(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        begun = time.perf_counter()
        made = {"snapshot": self.folder.snapshot(module.images_seen).name, "kimg": module.images_seen / 1000}
        card = self.score(module.G_ema, sampling=made)
        self._owed = False
        if trainer.is_global_zero:
            add_card(self.folder.score(module.images_seen), card.to_dict())
        self._keep_best(trainer, module, card)
        self._spent += time.perf_counter() - begun
        values = {f"metric/{name}": value for name, value in card.metrics.items()}
        self.logbook.record(module, values | {"time/evaluation_share": self._share()})
        if self.after is not None:
            self.after(dict(card.metrics))

    def _keep_best(self, trainer: L.Trainer, module: StyleGANModule, card: MetricCard) -> None:
        """By the first number of which one sense is better; the earlier of two equals stays."""
        key = next((name for name in card.metrics if sense_of(name) is not None), None)
        if key is None:
            return
        value, sign = card.metrics[key], 1 if sense_of(key) == "lower" else -1
        if self.best is not None and self.best["metric"] == key and sign * self.best["value"] <= sign * value:
            return
        self.best = {"metric": key, "value": value, "kimg": module.images_seen / 1000}
        if trainer.is_global_zero:
            info = {"images_seen": module.images_seen, **self.info, "best": self.best}
            save_snapshot(best_snapshot(self.folder), module.G_ema, info)
            text = replace(card, sampling={**card.sampling, "snapshot": best_snapshot(self.folder).name}).to_json(2)
            write_text(best_snapshot(self.folder).with_suffix(".metrics.json"), f"{text}\n")

    def _total(self) -> float:
        return self._elapsed + time.perf_counter() - self._started

    def _share(self) -> float:
        """Of the run's time so far, what scores have taken."""
        return self._spent / max(self._total(), 1e-9)


def best_snapshot(folder: RunFolder) -> Path:
    """Not among the numbered ones, the last of which is the newest."""
    return folder.root / "best.safetensors"


def read_card(folder: RunFolder, images_seen: int) -> dict[str, Any] | None:
    """The card that training wrote at this moment as plain JSON values, or None; not those of `evaluate`."""
    cards = [card for card in read_cards(folder.score(images_seen)) if "question" not in card["sampling"]]
    return cards[-1] if cards else None
