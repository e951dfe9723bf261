"""BEGAN's losses, and k: its update, its clipping, its checkpoint."""

import numpy as np
import pytest
import torch

from stylegen import randomness
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.began import Began
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, TrainingStep
from tests.support.loss_formulas import assert_formulas
from tests.support.tiny import tiny_generator


def of_errors(*errors: float) -> DiscriminatorOutputs:
    return DiscriminatorOutputs(-torch.tensor(errors, dtype=torch.float64)[:, None])


def test_by_the_papers_formula() -> None:
    loss = Began().double()
    loss.k.fill_(0.3)
    error = lambda outputs: (-outputs.logits).mean()  # noqa: E731
    assert_formulas(loss, d=lambda r, f: error(r) - 0.3 * error(f), g=lambda r, f: error(f))


def test_k_follows_the_papers_update_and_stays_between_0_and_1() -> None:
    """compare_gan's BEGAN does not clip: k then leaves [0, 1], in both directions."""
    generator = np.random.default_rng(0)
    loss, k, unclipped, outside = Began(gamma=0.4, k_rate=0.5).double(), 0.0, 0.0, 0
    for _ in range(50):
        real, fake = generator.uniform(0, 2, (2, 3))
        value = loss.discriminator(of_errors(*real), of_errors(*fake))
        assert value.item() == pytest.approx(real.mean() - k * fake.mean(), rel=1e-12), "the k before the update"
        change = 0.5 * (0.4 * real.mean() - fake.mean())
        k, unclipped = min(max(k + change, 0.0), 1.0), unclipped + change
        outside += not 0 <= unclipped <= 1
        assert loss.k.item() == pytest.approx(k, rel=1e-12, abs=1e-12)
    assert outside > 25, "without clipping most values are out of range"
    for fake_error, bound in ((0.0, 1.0), (9.0, 0.0)):
        for _ in range(20):
            loss.discriminator(of_errors(1.0), of_errors(fake_error))
        assert loss.k.item() == bound


def test_it_reports_k_and_the_measure_of_convergence() -> None:
    loss, real, fake = Began(gamma=0.5).double(), of_errors(0.8, 0.4), of_errors(0.1, 0.3)
    loss.discriminator(real, fake)
    found = loss.reports(real, fake)
    assert found["loss/convergence"].item() == pytest.approx(0.6 + abs(0.5 * 0.6 - 0.2), rel=1e-12)
    assert found["loss/k"].item() == pytest.approx(0.001 * 0.1, rel=1e-12)


def test_an_error_that_is_not_finite_does_not_change_k() -> None:
    loss = Began()
    loss.k.fill_(0.25)
    loss.discriminator(of_errors(float("nan")), of_errors(1.0))
    assert loss.k.item() == 0.25


def training() -> TrainingStep:
    with randomness.seeded_construction(0, "critic"):
        critic = Discriminator(8, head="autoencoder", head_dim=4, channel_base=64, channel_max=8, mbstd_num_channels=0)
    random_inputs = KeyedRandomInputs(0, 8, torch.zeros(1, 0))
    return TrainingStep(tiny_generator(8), critic, Objective(Began(gamma=1.0, k_rate=0.01)), random_inputs)


def test_k_continues_from_a_checkpoint_bit_for_bit() -> None:
    whole = training()
    whole.loss.k.fill_(0.5)
    images = [torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in range(6)]
    for batch in images[:3]:
        whole(batch, torch.zeros(4, 0))
    saved, continued = whole.state_dict(), training()
    continued.load_state_dict(torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, saved))
    for step in (whole, continued):
        for batch in images[3:]:
            step(batch, torch.zeros(4, 0))
    assert whole.loss.k.item() not in (0.0, 1.0)
    assert continued.loss.k.equal(whole.loss.k)
    assert all(value.equal(continued.modules.state_dict()[name]) for name, value in whole.modules.state_dict().items())
    logged = whole.statistics.collect()
    assert {"loss/k", "loss/convergence"} <= logged.keys()
