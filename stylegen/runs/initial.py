"""Initial weights of a new run: `init=SNAPSHOT_or_CHECKPOINT_or_RUN_FOLDER`.

Weights only: the clock, optimizers, augmentation strength and mean path length are reset. A resumed run ignores
`init`.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from stylegen.checkpoints.transfer import TrainedWeights, label_dependent, read_weights, transfer
from stylegen.config.initial_networks import settings_of_run
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import UserError
from stylegen.runs.build import new_discriminator, new_generator
from stylegen.spec import ImageSpec
from stylegen.training.step import TrainingStep


def initialize(settings: TrainSettings, step: TrainingStep, spec: ImageSpec) -> str | None:
    """Copy the weights of `init` into a new step -> a summary of what was copied; None without `init`.

    Raises:
        UserError: a file that cannot be read or contains other networks; `freeze_d` without a trained discriminator.
    """
    weights = None if settings.init is None else _with_settings(read_weights(settings.init))
    if settings.freeze_d and (weights is None or "D" not in weights.networks):
        raise UserError(
            f"freeze_d={settings.freeze_d} init={settings.init}",
            rule="no trained discriminator is given, so the frozen layers would keep random weights",
            fix="Add init=CHECKPOINT (or a run folder), or use freeze_d=0",
        )
    if weights is None:
        return None
    builders: dict[str, Callable[[int], nn.Module]] = {
        "G": lambda classes: new_generator(settings.generator, replace(spec, num_classes=classes)),
        "D": lambda classes: new_discriminator(settings.discriminator, replace(spec, num_classes=classes)),
    }
    labels = {part: label_dependent(build, spec.num_classes) for part, build in builders.items()}
    labels["G_ema"] = labels["G"]
    networks: dict[str, nn.Module] = {"G": step.G, "D": step.D, "G_ema": step.G_ema}
    return transfer(weights, networks, labels, as_dict(settings))


def _with_settings(weights: TrainedWeights) -> TrainedWeights:
    """Add the networks' settings from the config.yaml of the checkpoint's run, if it exists."""
    if weights.settings:
        return weights
    return replace(weights, settings=settings_of_run(weights.path.parent.parent / "config.yaml", weights.path))
