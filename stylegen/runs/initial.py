"""The weights that a new training begins with: `init=SNAPSHOT_or_CHECKPOINT_or_RUN_FOLDER`.

Weights only: the clock stands at 0, the optimizers, the augmentation's strength and the running mean of path lengths
are new. A run that continues has its own weights and does not read `init` again.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from stylegen.checkpoints.transfer import TrainedWeights, label_dependent, read_weights, transfer
from stylegen.config.sections import Component, as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import load_yaml
from stylegen.errors import UserError
from stylegen.runs.build import new_discriminator, new_generator
from stylegen.spec import ImageSpec
from stylegen.training.step import TrainingStep


def initialize(config: TrainSettings, step: TrainingStep, spec: ImageSpec) -> str | None:
    """Give a new training step the weights of `config.init` -> what was copied, in one sentence; None without `init`.

    Raises:
        UserError: a file that cannot be read, or that holds other networks, or no layers that could be frozen.
    """
    weights = None if config.init is None else _with_settings(read_weights(config.init))
    if config.freeze_d and (weights is None or "D" not in weights.networks):
        raise UserError(
            f"freeze_d={config.freeze_d} init={config.init}",
            rule="no trained discriminator is given, so the frozen layers would keep random weights",
            fix="Add init=CHECKPOINT (or a run folder), or use freeze_d=0",
        )
    if weights is None:
        return None
    labels = {
        "G": label_dependent(_with_classes(new_generator, config.generator, spec)),
        "D": label_dependent(_with_classes(new_discriminator, config.discriminator, spec)),
    }
    labels["G_ema"] = labels["G"]
    networks: dict[str, nn.Module] = {"G": step.G, "D": step.D, "G_ema": step.G_ema}
    return transfer(weights, networks, labels, as_dict(config))


def _with_classes(
    new: Callable[[Component, ImageSpec], nn.Module], settings: Component, spec: ImageSpec
) -> Callable[[int], nn.Module]:
    return lambda classes: new(settings, replace(spec, num_classes=classes))


def _with_settings(weights: TrainedWeights) -> TrainedWeights:
    """A checkpoint's settings stand in the configuration of its run, where that is still beside it."""
    path = weights.path.parent.parent / "config.yaml"
    if weights.settings or not path.is_file():
        return weights
    try:
        loaded = load_yaml(path)
        assert isinstance(loaded, dict)
        settings = {network: dict(loaded[network]) for network in ("generator", "discriminator")}
    except Exception as error:  # the parser raises many kinds
        raise UserError(
            f"init={weights.path}",
            rule=f"{path} is no configuration of a run",
            fix="Restore it, or move the checkpoint elsewhere",
        ) from error
    return replace(weights, settings=settings)
