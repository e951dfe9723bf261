"""Regularizers that do not fit other settings are refused, by both settings and a fix."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from stylegen.config.compose import compose_config
from stylegen.config.regularizer_rules import check_regularizers
from stylegen.config.sections import Arguments, Component
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import UserError


def settings(overrides: Sequence[str], **discriminator: Any) -> TrainSettings:
    """The settings, with further ones of the discriminator."""
    config: TrainSettings = compose_config("train", overrides)
    critic = config.discriminator
    changed = Component(critic.name, Arguments({**critic.arguments, **discriminator}))
    return dataclasses.replace(config, discriminator=changed)


@pytest.mark.parametrize(
    ("overrides", "discriminator", "names"),
    [
        (["regularizers=vdb"], {"head": "scalar"}, ("regularizers.vdb", "discriminator.head=scalar")),
        (["regularizers=ct"], {"dropout": ()}, ("regularizers.ct", "discriminator.dropout=")),
        (["regularizers=ct"], {"dropout": (0.0, 0.0)}, ("regularizers.ct", "discriminator.dropout=")),
        (
            ["regularizers=wgan_gp", "precision=fp16"],
            {"conv_clamp": None},
            ("regularizers.wgan_gp", "precision=fp16", "discriminator.conv_clamp=null"),
        ),
        (
            ["regularizers=[spectral_norm,weight_clipping]"],
            {},
            ("regularizers.spectral_norm", "regularizers.weight_clipping"),
        ),
        (
            ["regularizers=spectral_norm", "discriminator=r3gan", "generator=r3gan"],
            {},
            ("regularizers.spectral_norm", "discriminator=r3gan"),
        ),
        (["regularizers=weight_clipping", "freeze_d=2"], {}, ("regularizers.weight_clipping", "freeze_d=2")),
    ],
)
def test_a_combination_is_refused(overrides: list[str], discriminator: dict[str, Any], names: Sequence[str]) -> None:
    with pytest.raises(UserError) as caught:
        check_regularizers(settings(overrides, **discriminator))
    message = str(caught.value)
    assert all(name in message.partition(": ")[0] for name in names), message
    assert "Use " in message


def test_fitting_combinations_pass() -> None:
    check_regularizers(settings(["regularizers=[vdb,ct,r1]"], head="bottleneck", dropout=(0.2, 0.5)))
    check_regularizers(settings(["regularizers=[r1,drift]", "precision=fp16"], conv_clamp=256))
    check_regularizers(settings(["regularizers=drift", "precision=fp16"]))
