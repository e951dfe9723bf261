"""Scores during training: the averaged generator against the dataset, at intervals and at the end."""

import json
from collections.abc import Callable
from typing import Any

import lightning as L

from stylegen.metrics.card import MetricCard
from stylegen.networks import StyleGenerator
from stylegen.training.callbacks.base import EveryKimg
from stylegen.training.callbacks.logbook import Logbook
from stylegen.training.module import StyleGANModule
from stylegen.training.run_folder import RunFolder, write_text

Score = Callable[[StyleGenerator], MetricCard]


class Fidelity(EveryKimg):
    """Logs `metric/<id>` and writes the metric card beside the snapshot of the same moment.

    Args:
        folder: the run's.
        score: generator -> card.
        logbook: where the values go.
        every_kimg, total_kimg: see `EveryKimg`.
        before: called on every rank before a score is taken.
    """

    def __init__(
        self,
        folder: RunFolder,
        score: Score,
        logbook: Logbook,
        every_kimg: float,
        total_kimg: float,
        before: Callable[[L.Trainer, StyleGANModule], None],
    ) -> None:
        super().__init__(every_kimg, total_kimg)
        self.folder, self.score, self.logbook, self.before = folder, score, logbook, before

    def act(self, trainer: L.Trainer, module: StyleGANModule) -> None:
        self.before(trainer, module)
        if trainer.is_global_zero:
            card = self.score(module.G_ema)
            path = self.folder.score(module.images_seen)
            write_text(path, card.to_json(indent=2) + "\n")
            self.logbook.record(module, {f"metric/{name}": value for name, value in card.metrics.items()})


def read_card(folder: RunFolder, images_seen: int) -> dict[str, Any] | None:
    """The card written at this moment as plain JSON values, or None."""
    path = folder.score(images_seen)
    return json.loads(path.read_text()) if path.exists() else None
