"""StyleGAN2's networks reproduce the reference implementation: outputs, losses, gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import stylegan2_names as importer
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.latent.truncation import truncate
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.networks.stylegan2 import Generator
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.regularizers.gradient_penalty import squared_gradients
from stylegen.regularizers.path_length import PathLength, path_lengths
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.regularizer import CriticBatch, SynthesisBatch
from tests.support.golden import Golden, assert_gradients, assert_output, files, load, unnoticed


class Networks:
    """The two networks of a golden file, with its weights."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden
        self.G = Generator(**importer.generator_settings(golden.config["generator"]))
        self.D = Discriminator(**importer.discriminator_settings(golden.config["discriminator"]))
        self.G.load_state_dict(importer.rename_generator(golden.part("G.")))
        self.D.load_state_dict(importer.rename_discriminator(golden.part("D.")))
        self.c = golden.tensors.get("in.c")

    def ws(self) -> Tensor:
        return self.G.mapping(self.golden["in.z"], self.c).unsqueeze(1).repeat(1, self.G.num_ws, 1)

    def assert_gradients(self, loss: Tensor, network: str, prefix: str) -> None:
        rename = importer.rename_generator if network == "G" else importer.rename_discriminator
        assert_gradients(loss, getattr(self, network), rename(self.golden.part(prefix + ".")))


@pytest.fixture(params=files("stylegan2"))
def networks(request: pytest.FixtureRequest) -> Networks:
    path: Path = request.param
    return Networks(load(path))


def test_mapping_and_truncation(networks: Networks) -> None:
    golden, ws = networks.golden, networks.ws()
    assert_output(ws, golden["out.ws"])
    assert_output(truncate(ws, networks.G.mapping.w_avg, psi=0.7, cutoff=4), golden["out.ws_truncated"])


def test_synthesis(networks: Networks) -> None:
    golden, synthesis, ws = networks.golden, networks.G.synthesis, networks.ws()
    mixed = torch.cat([ws[:, :4], ws.flip(0)[:, 4:]], dim=1)
    truncated = truncate(ws, networks.G.mapping.w_avg, psi=0.7, cutoff=4)
    assert_output(synthesis(ws, noise="const"), golden["out.img_noise_const"])
    assert_output(synthesis(ws, noise="none"), golden["out.img_noise_none"])
    assert_output(synthesis(truncated), golden["out.img_truncated"])
    assert_output(synthesis(mixed), golden["out.img_mixed_from_layer_4"])


def test_losses_and_gradients(networks: Networks) -> None:
    golden = networks.golden
    fake = networks.G.synthesis(networks.ws())
    fake_logits, real_logits = networks.D(fake, networks.c), networks.D(golden["in.real"], networks.c)
    assert_output(fake_logits, golden["out.logits_fake"])
    assert_output(real_logits, golden["out.logits_real"])
    loss_g = Nonsaturating().generator(DiscriminatorOutputs(fake_logits))
    assert_output(loss_g, golden["out.loss_G"])
    networks.assert_gradients(loss_g, "G", "grad_G")
    loss_d = Nonsaturating().discriminator(
        networks.D.outputs(golden["in.real"], networks.c), networks.D.outputs(fake.detach(), networks.c)
    )
    assert_output(loss_d, golden["out.loss_D"])
    networks.assert_gradients(loss_d, "D", "grad_D")


def test_r1(networks: Networks) -> None:
    golden = networks.golden
    real = golden["in.real"].clone().requires_grad_(True)
    assert_output(squared_gradients(real, networks.D(real, networks.c)), golden["out.r1_penalty_per_image"])
    labels = networks.c if networks.c is not None else torch.zeros(len(real), 0)
    loss = R1(gamma=10)(
        CriticBatch(lambda x, c, view: networks.D.outputs(x, c), real.detach().requires_grad_(True), labels)
    )
    networks.assert_gradients(loss, "D", "grad_R1_gamma10")


def test_path_length(networks: Networks) -> None:
    golden, ws = networks.golden, networks.ws()
    images = networks.G.synthesis(ws)
    lengths = path_lengths(images, ws, golden["in.pl_noise"])
    assert_output(lengths, golden["out.pl_lengths"])
    regularizer = PathLength(weight=2, decay=0.01)
    regularizer.mean.fill_(0.5)
    loss = regularizer(SynthesisBatch(ws, images, {"direction": golden["in.pl_noise"]}))
    assert_output(regularizer.mean, golden["out.pl_mean_from_0.5"])
    assert_output((lengths - regularizer.mean).square(), golden["out.pl_penalty"])
    assert_output(loss, 2 * golden["out.pl_penalty"].mean())
    networks.assert_gradients(loss, "G", "grad_PL_weight2")


def test_one_percent_on_any_weight_is_noticed(networks: Networks) -> None:
    """The tolerances are tight enough: scaling one weight tensor by 1 % exceeds some of them."""
    found = unnoticed((networks.G, networks.D), lambda: _notices(networks))
    assert not found, found


def _notices(networks: Networks) -> bool:
    try:
        test_mapping_and_truncation(networks)
        test_synthesis(networks)
        test_losses_and_gradients(networks)
        test_r1(networks)
        test_path_length(networks)
    except AssertionError:
        return True
    return False
