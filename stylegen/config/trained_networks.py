"""The networks in any file of trained weights, with all settings of their constructors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.checkpoints.find_model import find_native
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Renamed,
    Weights,
    fit_discriminator,
    fit_generator,
)
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot_file import SnapshotFile, read_snapshot_file
from stylegen.checkpoints.transfer import read_weights
from stylegen.config.initial_networks import initial_networks
from stylegen.errors import UserError
from stylegen.networks import Level


@dataclass(frozen=True)
class TrainedNetworks:
    """The networks of a file.

    Attributes:
        model: G_ema, and D and G unless the file is a snapshot.
        info: of the snapshot.
        file: a snapshot or a checkpoint.
    """

    model: ForeignModel
    info: Mapping[str, Any]
    file: Path


def trained_networks(source: str, setting: str = "source") -> TrainedNetworks:
    """The networks of a snapshot, a run, a checkpoint, a model by name, or a file of another program.

    Raises:
        UserError: no such file, or one that cannot be read; a checkpoint without the settings of its networks.
    """
    path = find_native(source, setting, all_networks=True)
    weights, found = read_weights(path), initial_networks(str(path))
    generator, discriminator = (dict(found.settings.get(part, {})) for part in ("generator", "discriminator"))
    if not generator or found.resolution is None or found.channels is None:
        raise UserError(
            f"{setting}={source}", rule="this checkpoint lies in no run folder", fix=f"Use {setting}= with a run folder"
        )
    images = {"resolution": found.resolution, "channels": found.channels, "num_classes": found.num_classes}
    snapshot = _snapshot_of(path)
    level = None if snapshot is None or snapshot.level is None else Level(**snapshot.level)

    def fitted(part: str) -> Weights:
        named = Renamed(weights.networks[part], [])
        if part == "D":
            return fit_discriminator(discriminator["name"], _arguments(discriminator) | images, named)
        return fit_generator(generator["name"], _arguments(generator) | images, named, part, level)

    G_ema, G, D = (fitted(part) if part in weights.networks else None for part in ("G_ema", "G", "D"))
    assert G_ema is not None
    both = D is not None  # a snapshot's G is its G_ema
    model = ForeignModel("stylegen", G_ema, D, G if both else None)
    return TrainedNetworks(model, {} if snapshot is None else snapshot.info, weights.path)


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "name"}


def _snapshot_of(path: Path) -> SnapshotFile | None:
    """The snapshot, a run's newest, or the one beside a converted checkpoint."""
    if path.is_dir():
        newest = max(RunFolder(path).snapshots(), default=None)
        return None if newest is None else read_snapshot_file(newest)
    beside = path.with_suffix(".safetensors")
    return read_snapshot_file(beside) if beside.exists() else None
