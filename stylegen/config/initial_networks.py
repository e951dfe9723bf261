"""The networks of `init=`: settings with which a new run has the same ones, so that all weights fit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegen.checkpoints.find_model import find_native, is_snapshot
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot_file import read_snapshot_file
from stylegen.checkpoints.transfer import read_weights
from stylegen.config.yaml_file import load_yaml
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS

_CONVERSIONS = {1: "gray", 3: "rgb"}
# Of the images, the batch and the precision.
_OF_THE_RUN = ("name", "resolution", "channels", "num_classes", "conv_clamp", "mbstd_group_size")


@dataclass(frozen=True)
class InitialNetworks:
    """The networks in a file of trained weights.

    Attributes:
        settings: name and constructor arguments of "generator", and of "discriminator" if the file holds one.
        resolution, channels: size of their images; None if unknown.
        num_classes: number of classes of their labels; 0 for none.
    """

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resolution: int | None = None
    channels: int | None = None
    num_classes: int = 0

    @property
    def conversion(self) -> str | None:
        """The value of data.convert for images of these channels; None if unknown."""
        return _CONVERSIONS.get(self.channels or 0)

    @property
    def has_discriminator(self) -> bool:
        """Whether the discriminator is trained too."""
        return "discriminator" in self.settings

    def overrides(self) -> dict[str, str]:
        """Settings as typed, by key. A new discriminator has the generator's widths."""
        settings = dict(self.settings)
        generator = settings.get("generator", {})
        if generator and not self.has_discriminator and generator["name"] in DISCRIMINATORS:
            settings["discriminator"] = {key: generator[key] for key in ("name", "channel_base", "channel_max")}
        chosen: dict[str, str] = {network: own["name"] for network, own in settings.items()}
        for network, own in settings.items():
            chosen |= {f"{network}.{key}": json.dumps(own[key]) for key in own if key not in _OF_THE_RUN}
        return chosen


def initial_networks(init: str, setting: str = "init") -> InitialNetworks:
    """The networks of a snapshot, a packaged model, a run folder, or a checkpoint: of a run or converted.

    Empty for a file of unknown networks, which is refused or compared when its weights are read.

    Args:
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: no such file; a snapshot or config.yaml that cannot be read.
    """
    path = find_native(init, setting, all_networks=True)
    if path.is_file() and is_snapshot(path):
        return _of_snapshot(path, setting)
    folder = RunFolder(path if path.is_dir() else path.parent.parent)
    settings = settings_of_run(folder.config, init, setting)
    if not settings and path.is_file():
        return _of_converted(path)
    newest = max(folder.snapshots(), default=None) if settings else None
    found = InitialNetworks() if newest is None else _of_snapshot(newest, setting)
    return InitialNetworks(settings, found.resolution, found.channels, found.num_classes)


def _of_snapshot(path: Path, setting: str) -> InitialNetworks:
    file = read_snapshot_file(path, setting)
    own, settings = file.settings, {"generator": {"name": file.network, **file.settings}}
    return InitialNetworks(settings, own.get("resolution"), own.get("channels"), own.get("num_classes", 0))


def _of_converted(path: Path) -> InitialNetworks:
    """Of a checkpoint that `convert` wrote, which describes its networks."""
    try:
        settings = read_weights(path).settings
    except UserError:  # raised again when the weights are read
        return InitialNetworks()
    own = settings.get("generator", {})
    return InitialNetworks(settings, own.get("resolution"), own.get("channels"), own.get("num_classes", 0))


def settings_of_run(config: Path, init: str | Path, setting: str = "init") -> dict[str, dict[str, Any]]:
    """Name and arguments of "generator" and "discriminator" in a run's config.yaml; {} if there is no such file.

    Raises:
        UserError: a file that is not the configuration of a run.
    """
    if not config.is_file():
        return {}
    try:
        loaded = load_yaml(config)
        assert isinstance(loaded, dict)
        settings = {network: dict(loaded[network]) for network in ("generator", "discriminator")}
        assert all(isinstance(own["name"], str) for own in settings.values())
    except Exception as error:  # the parser raises many kinds
        raise UserError(
            f"{setting}={init}",
            rule=f"{config} is not the configuration of a run",
            fix="Restore it, or move the checkpoint elsewhere",
        ) from error
    return settings
