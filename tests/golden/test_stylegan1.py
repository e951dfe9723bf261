"""StyleGAN1's networks reproduce the reference at every level of detail: outputs, losses, gradients.

The reference measures growth by the level of detail X: resolution R / 2^floor(X), and the next lower resolution has
weight X - floor(X), so alpha = 1 - (X - floor(X)).
"""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import stylegan1_names as importer
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.latent.truncation import truncate
from stylegen.layers.scaled_conv import box_downsample, nearest_upsample
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.networks.stylegan1 import Generator
from stylegen.networks.stylegan1_discriminator import Discriminator
from stylegen.regularizers.gradient_penalty import squared_gradients
from tests.support.golden import Golden, assert_gradients, assert_output, files, load, unnoticed


class Networks:
    """The two networks of a golden file, with its weights."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden
        self.G = Generator(**importer.generator_settings(golden.config["generator"]))
        self.D = Discriminator(**importer.discriminator_settings(golden.config["discriminator"]))
        self.G.load_state_dict(importer.rename_generator(golden.part("G.")))
        self.D.load_state_dict(importer.rename_discriminator(golden.part("D."), self.G.resolution))
        self.c = golden.tensors.get("in.c")

    def lods(self, name: str) -> list[str]:
        """The levels of detail for which the file has `name`_lod_X."""
        found = (re.fullmatch(rf"{re.escape(name)}_lod_(\d+(?:\.\d+)?)(?:\.\D.*)?", key) for key in self.golden.tensors)
        return sorted({match[1] for match in found if match}, key=float)

    def level(self, lod: str) -> dict[str, float]:
        whole = math.floor(float(lod))
        return {"resolution": self.G.resolution >> whole, "alpha": 1 - (float(lod) - whole)}

    def ws(self) -> Tensor:
        return self.G.mapping(self.golden["in.z"], self.c).unsqueeze(1).repeat(1, self.G.num_ws, 1)

    def at_full_size(self, images: Tensor) -> Tensor:
        while images.shape[-1] < self.G.resolution:
            images = nearest_upsample(images)
        return images

    def reals(self, resolution: float) -> Tensor:
        reals = self.golden["in.real"]
        while reals.shape[-1] > resolution:
            reals = box_downsample(reals)
        return reals

    def logits(self, images: Tensor, lod: str) -> Tensor:
        return self.D(images, self.c, alpha=self.level(lod)["alpha"])

    def assert_gradients(self, loss: Tensor, network: str, prefix: str) -> None:
        # The name of level 0 is a prefix of others, such as 0.3.
        expected = {k: v for k, v in self.golden.part(prefix + ".").items() if not k[0].isdigit()}
        assert expected
        if network == "G":
            assert_gradients(loss, self.G, importer.rename_generator(expected))
        else:
            assert_gradients(loss, self.D, importer.rename_discriminator(expected, self.G.resolution))


@pytest.fixture(params=files("stylegan1"))
def networks(request: pytest.FixtureRequest) -> Networks:
    path: Path = request.param
    return Networks(load(path))


def test_mapping_and_truncation(networks: Networks) -> None:
    golden, ws = networks.golden, networks.ws()
    assert_output(ws[:, 0], golden["out.w"])
    assert_output(truncate(ws, networks.G.mapping.w_avg, psi=0.7, cutoff=4), golden["out.ws_truncated"])


def test_synthesis_at_every_level_of_detail(networks: Networks) -> None:
    golden, synthesis, ws = networks.golden, networks.G.synthesis, networks.ws()
    lods = networks.lods("out.img")
    assert {math.floor(float(lod)) for lod in lods} == set(range(len(networks.G.resolutions)))
    for lod in lods:
        level = networks.level(lod)
        images = synthesis(ws, **level)
        assert images.shape[-1] == level["resolution"]
        assert_output(networks.at_full_size(images), golden[f"out.img_lod_{lod}"], lod)
    mixed = torch.cat([ws[:, :4], ws.flip(0)[:, 4:]], dim=1)
    assert_output(synthesis(mixed), golden["out.img_mixed_from_layer_4"])
    truncated = truncate(ws, networks.G.mapping.w_avg, psi=0.7, cutoff=4)
    assert_output(synthesis(truncated), golden["out.img_truncated_lod_0"])


def test_logits_at_every_level_of_detail(networks: Networks) -> None:
    for lod in networks.lods("out.logits"):
        logits = networks.logits(networks.reals(networks.level(lod)["resolution"]), lod)
        assert_output(logits, networks.golden[f"out.logits_lod_{lod}"], lod)


def test_losses_and_gradients(networks: Networks) -> None:
    lods = networks.lods("out.loss_G")
    assert lods == networks.lods("grad_G")
    for lod in lods:
        fake = networks.G.synthesis(networks.ws(), **networks.level(lod))
        loss = Nonsaturating().generator(DiscriminatorOutputs(networks.logits(fake, lod)))
        assert_output(loss, networks.golden[f"out.loss_G_lod_{lod}"], lod)
        networks.assert_gradients(loss, "G", f"grad_G_lod_{lod}")


def test_r1(networks: Networks) -> None:
    lods = networks.lods("out.r1_penalty_per_image")
    assert lods == networks.lods("grad_R1_gamma10")
    for lod in lods:
        real = networks.reals(networks.level(lod)["resolution"]).clone().requires_grad_(True)
        penalty = squared_gradients(real, networks.logits(real, lod))
        assert_output(penalty, networks.golden[f"out.r1_penalty_per_image_lod_{lod}"], lod)
        networks.assert_gradients(10 / 2 * penalty.mean(), "D", f"grad_R1_gamma10_lod_{lod}")


def test_one_percent_on_any_weight_is_noticed(networks: Networks) -> None:
    """The tolerances are tight enough: scaling one weight tensor by 1 % exceeds some of them.

    Biases are scaled by 10 %: in RGB layers at low levels they make up a twentieth of the images, and no gradient
    depends on them.
    """
    found = unnoticed((networks.G, networks.D), lambda: _notices(networks), bias_factor=1.1)
    assert not found, found


def _notices(networks: Networks) -> bool:
    try:
        test_mapping_and_truncation(networks)
        test_synthesis_at_every_level_of_detail(networks)
        test_logits_at_every_level_of_detail(networks)
        test_losses_and_gradients(networks)
        test_r1(networks)
    except AssertionError:
        return True
    return False
