"""R3GAN reproduces the published code in float32 and float64: images, logits, losses, penalties and gradients."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import r3gan_names as importer
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.relativistic import Relativistic
from stylegen.networks.r3gan import Generator
from stylegen.networks.r3gan_discriminator import Discriminator
from stylegen.regularizers.gradient_penalty import squared_gradients
from tests.support.golden import Golden, assert_gradients, assert_output, files, load, unnoticed


class Networks:
    """The two networks of a golden file, with its weights; `prefix` selects the numbers of one precision."""

    def __init__(self, golden: Golden, double: bool) -> None:
        self.golden, self.prefix = golden, "float64." if double else ""
        self.G = Generator(**importer.generator_settings(golden.config["generator"]))
        self.D = Discriminator(**importer.discriminator_settings(golden.config["discriminator"]))
        missing = self.G.load_state_dict(importer.rename_generator(golden.part("G.")), strict=False)
        assert missing == (["mapping.w_avg"], [])
        self.D.load_state_dict(self.rename(golden.part("D.")))
        self.gamma = golden.config["gamma"]
        if double:
            self.G.double(), self.D.double()
        dtype = torch.float64 if double else torch.float32
        self.z, self.real = golden["in.z"].to(dtype), golden["in.real"].to(dtype)
        self.c = golden["in.c"].to(dtype) if "in.c" in golden.tensors else None

    def rename(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return importer.rename_discriminator(state, self.G.resolution)

    def assert_output(self, actual: Tensor, name: str) -> None:
        expected = self.golden[f"{self.prefix}out.{name}"].reshape(actual.shape)
        if self.prefix:
            torch.testing.assert_close(actual.detach(), expected, rtol=1e-9, atol=1e-11, msg=name)
        assert_output(actual, expected, name)

    def assert_gradients(self, loss: Tensor, network: str, prefix: str) -> None:
        expected = self.golden.part(f"{self.prefix}{prefix}.")
        if self.prefix and not expected:
            return  # recorded in float32 only
        module, rename = (self.G, importer.rename_generator) if network == "G" else (self.D, self.rename)
        assert_gradients(loss, module, rename(expected))
        if self.prefix:
            for name, parameter in module.named_parameters():
                (found,) = torch.autograd.grad(loss, parameter, retain_graph=True)
                reference = rename(expected)[name]
                torch.testing.assert_close(found, reference, rtol=1e-8, atol=1e-10 * float(reference.abs().max()))


@pytest.fixture(params=files("r3gan"))
def golden(request: pytest.FixtureRequest) -> Golden:
    path: Path = request.param
    return load(path)


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def networks(golden: Golden, request: pytest.FixtureRequest) -> Networks:
    return Networks(golden, request.param)


def test_images_and_logits(networks: Networks) -> None:
    fake = networks.G(networks.z, networks.c)
    networks.assert_output(fake, "img")
    networks.assert_output(networks.D(fake, networks.c), "logits_fake")
    networks.assert_output(networks.D(networks.real, networks.c), "logits_real")


def test_losses_penalties_and_gradients(networks: Networks) -> None:
    D, c, gamma, loss = networks.D, networks.c, networks.gamma, Relativistic("single")
    fake, real = networks.G(networks.z, c), networks.real.requires_grad_(True)
    loss_g = loss.generator(D.outputs(fake, c), DiscriminatorOutputs(D(real, c).detach()))
    networks.assert_output(loss_g, "loss_G")
    networks.assert_gradients(loss_g, "G", "grad_G")
    fake = fake.detach().requires_grad_(True)
    of_real, of_fake = D.outputs(real, c), D.outputs(fake, c)
    loss_d = loss.discriminator(of_real, of_fake)
    networks.assert_output(loss_d, "loss_D")
    networks.assert_gradients(loss_d, "D", "grad_D")
    r1, r2 = squared_gradients(real, of_real.logits), squared_gradients(fake, of_fake.logits)
    networks.assert_output(r1, "r1_penalty_per_image")
    networks.assert_output(r2, "r2_penalty_per_image")
    whole = loss_d + gamma / 2 * (r1 + r2).mean()
    networks.assert_gradients(whole, "D", f"grad_D_gamma{gamma:g}")
    if not networks.prefix:
        networks.assert_gradients(gamma / 2 * r1.mean(), "D", f"grad_R1_gamma{gamma:g}")
        networks.assert_gradients(gamma / 2 * r2.mean(), "D", f"grad_R2_gamma{gamma:g}")


def test_one_percent_on_any_weight_is_noticed(golden: Golden) -> None:
    networks = Networks(golden, double=False)
    found = unnoticed((networks.G, networks.D), lambda: _notices(networks))
    assert not found, found


def _notices(networks: Networks) -> bool:
    tests: list[Callable[[Networks], None]] = [test_images_and_logits, test_losses_penalties_and_gradients]
    try:
        for test in tests:
            test(networks)
    except AssertionError:
        return True
    return False
