"""Cases that golden files do not cover: settings and names without a counterpart, and `fused_scale`."""

import pytest
import torch

from stylegen.checkpoints.importers import stylegan1_names as importer
from stylegen.errors import UserError
from stylegen.networks.stylegan1_discriminator import Discriminator


@pytest.mark.parametrize(("value", "fused_from"), [("auto", 128), (True, 4), (False, None)])
def test_fused_scale(value: object, fused_from: int | None) -> None:
    for translate in (importer.generator_settings, importer.discriminator_settings):
        assert translate({"resolution": 32, "fused_scale": value}) == {"resolution": 32, "fused_from": fused_from}


def test_settings_without_a_counterpart_are_refused() -> None:
    for config in ({"fused_scale": "sometimes"}, {"resnet": True}):
        with pytest.raises(UserError, match="no counterpart"):
            importer.generator_settings(config)


def test_unknown_names_are_refused() -> None:
    state = {"synthesis.layer0.strange": torch.zeros(1)}
    with pytest.raises(UserError, match="strange"):
        importer.rename_generator(state)
    with pytest.raises(UserError, match="strange"):
        importer.rename_discriminator(state, 32)


@pytest.mark.parametrize("resolution", [8, 64])
def test_names_of_a_discriminator_of_any_size_are_complete(resolution: int) -> None:
    num_layers = 2 * (resolution.bit_length() - 3) + 3
    numbers = [("layer", k) for k in range(num_layers)] + [("input", k) for k in range(resolution.bit_length() - 2)]
    state = {f"{kind}{k}.{part}": torch.zeros(1) for kind, k in numbers for part in ("weight", "bias")}
    ours = Discriminator(resolution, channel_base=128, channel_max=8).state_dict()
    assert set(importer.rename_discriminator(state, resolution)) == set(ours)
