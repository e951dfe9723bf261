"""The networks in any file of trained weights, with all settings of their constructors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.checkpoints.find_model import find_native, is_snapshot
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Renamed,
    Weights,
    fit_discriminator,
    fit_generator,
)
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import find_snapshot
from stylegen.checkpoints.snapshot_file import read_snapshot_file
from stylegen.checkpoints.transfer import TrainedWeights, read_weights
from stylegen.config.initial_networks import initial_networks
from stylegen.config.yaml_file import load_yaml
from stylegen.errors import UserError
from stylegen.networks import Level
from stylegen.training.growth import Growth


@dataclass(frozen=True)
class TrainedNetworks:
    """The networks of a file.

    Attributes:
        model: G_ema, and D and G unless the file is a snapshot.
        info: metadata of the snapshot.
        file: a snapshot or a checkpoint.
    """

    model: ForeignModel
    info: Mapping[str, Any]
    file: Path


def trained_networks(source: str, setting: str = "source") -> TrainedNetworks:
    """The networks of a snapshot, a run, a checkpoint, a model by name, or a file of another program.

    Of a run without a last checkpoint, its newest snapshot.

    Raises:
        UserError: no such file, or one that cannot be read; a checkpoint without the settings of its networks.
    """
    path, notes = find_native(source, setting, all_networks=True), []
    if path.is_dir() and not RunFolder(path).checkpoint.is_file():
        path, notes = find_snapshot(path, setting), ["the run has no checkpoint, so G and D are left out"]
    weights, found = read_weights(path, setting), initial_networks(str(path), setting)
    generator, discriminator = (dict(found.settings.get(part, {})) for part in ("generator", "discriminator"))
    if not generator or found.resolution is None or found.channels is None:
        raise UserError(
            f"{setting}={source}",
            rule="this checkpoint is not in a run folder with snapshots",
            fix=f"Use {setting}= with a run folder",
        )
    images = {"resolution": found.resolution, "channels": found.channels, "num_classes": found.num_classes}
    level, info = _state_of(weights, found.resolution, setting)

    def fitted(part: str) -> Weights:
        named = Renamed(weights.networks[part], [])
        if part == "D":
            return fit_discriminator(discriminator["name"], _arguments(discriminator) | images, named)
        return fit_generator(generator["name"], _arguments(generator) | images, named, part, level)

    G_ema, G, D = (fitted(part) if part in weights.networks else None for part in ("G_ema", "G", "D"))
    assert G_ema is not None
    both = D is not None  # a snapshot's G is its G_ema
    return TrainedNetworks(ForeignModel("stylegen", G_ema, D, G if both else None, notes), info, weights.path)


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "name"}


def _state_of(weights: TrainedWeights, resolution: int, setting: str) -> tuple[Level | None, Mapping[str, Any]]:
    """Level and info: of the snapshot, a run at its checkpoint, or the snapshot beside a converted checkpoint."""
    run = RunFolder(weights.path.parent.parent)
    seen = weights.images_seen
    if seen is not None and run.is_run():  # its newest snapshot may be older
        newest = max(run.snapshots(), default=None)
        info = {} if newest is None else read_snapshot_file(newest, setting).info
        return _level_at(seen, run.config, resolution, setting), {**info, "images_seen": seen}
    path = weights.path if is_snapshot(weights.path) else weights.path.with_suffix(".safetensors")
    if not path.exists():
        return None, {}
    snapshot = read_snapshot_file(path, setting)
    return None if snapshot.level is None else Level(**snapshot.level), snapshot.info


def _level_at(images_seen: int, config: Path, resolution: int, setting: str) -> Level | None:
    """The level of a run's networks; None at full resolution."""
    growth = load_yaml(config).get("growth")
    if not growth:
        return None
    try:
        stage = Growth(resolution, 1, **growth).at(images_seen)
    except TypeError as error:
        raise UserError(
            f"{setting}={config.parent}", rule=f"{config} is not the configuration of a run", fix="Restore it"
        ) from error
    level = Level(stage.resolution, stage.alpha)
    return None if level == Level(resolution) else level
