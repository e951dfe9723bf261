"""Rules between regularizers and the other settings of a training."""

from typing import Any

from stylegen.config.sections import Component
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import UserError
from stylegen.regularizers import REGULARIZERS


def check_regularizers(config: TrainSettings) -> None:
    """Raise UserError for the first regularizer that does not fit the discriminator, the precision or another one."""
    critic = config.discriminator
    for name, arguments in config.regularizers.items():
        regularizer = REGULARIZERS[name](**arguments)
        if "divergence" in regularizer.needs and critic.arguments.get("head") != "bottleneck":
            raise UserError(
                f"regularizers.{name} with {_shown(critic, 'head')}",
                rule="the term limits the information in the bottleneck of a discriminator, and this one has none",
                fix=f"Use {_owner(critic, 'head')}discriminator.head=bottleneck, or ~regularizers.{name}",
            )
        if name == "ct" and not _positive(critic.arguments.get("dropout")):
            raise UserError(
                f"regularizers.{name} with {_shown(critic, 'dropout')}",
                rule="the term compares two passes with different dropout, and is 0 without it",
                fix=f"Use {_owner(critic, 'dropout')}discriminator.dropout=[0.2,0.5,0.5], or ~regularizers.{name}",
            )
        if regularizer.differentiates and config.precision == "fp16" and not critic.arguments.get("conv_clamp"):
            raise UserError(
                f"regularizers.{name} with precision=fp16 and {_shown(critic, 'conv_clamp')}",
                rule="a gradient penalty needs activations and gradients below 65504, the limit of float16",
                fix="Use discriminator.conv_clamp=256, as published, or precision=bf16",
            )
    if {"spectral_norm", "weight_clipping"} <= config.regularizers.keys():
        raise UserError(
            "regularizers.spectral_norm with regularizers.weight_clipping",
            rule="normalized weights do not depend on the scale that clipping limits",
            fix="Use ~regularizers.weight_clipping or ~regularizers.spectral_norm",
        )
    if "spectral_norm" in config.regularizers and critic.name == "r3gan":
        raise UserError(
            "regularizers.spectral_norm with discriminator=r3gan",
            rule="its residual blocks end with weights of zero, which have no norm to divide by",
            fix="Use ~regularizers.spectral_norm, or discriminator=stylegan2",
        )
    if "weight_clipping" in config.regularizers and config.freeze_d:
        raise UserError(
            f"regularizers.weight_clipping with freeze_d={config.freeze_d}",
            rule="clipping would change the frozen layers",
            fix="Use freeze_d=0, or ~regularizers.weight_clipping",
        )


def _shown(critic: Component, setting: str) -> str:
    """The setting as typed, or the discriminator's name if it has no such setting."""
    if setting not in critic.arguments:
        return f"discriminator={critic.name}, which has no {setting}"
    value = critic.arguments[setting]
    return f"discriminator.{setting}={'null' if value is None else value}"


def _owner(critic: Component, setting: str) -> str:
    """What to type before a setting that the discriminator does not have."""
    return "" if setting in critic.arguments else "discriminator=stylegan2 "


def _positive(value: Any) -> bool:
    """Whether a number, or one of a list, is above 0."""
    return any(value) if isinstance(value, list | tuple) else bool(value)
