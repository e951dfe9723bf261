"""LeCam's averages, VDB's multiplier, Roth's decay, and the generator's consistency term, in closed form."""

import numpy as np
import pytest
import torch

from stylegen.regularizers import REGULARIZERS, SynthesisBatch
from stylegen.regularizers.lecam import LeCam
from stylegen.regularizers.roth import Roth
from stylegen.regularizers.vdb import VDB
from stylegen.regularizers.zcr import ZCRGenerator

REAL, FAKE = np.array([[2.0], [0.5]]), np.array([[-1.0], [0.25]])


def test_lecam_against_numpy() -> None:
    """From 2 images on; before, the averages are the batch's."""
    term = LeCam(weight=0.3, decay=0.75, start_kimg=0.002).double()
    real_mean, fake_mean = 0.0, 0.0
    for seen, shift in ((0, 0.0), (2, 1.0), (4, -3.0)):
        real, fake = REAL + shift, FAKE + shift
        decay = 0.75 if seen >= 2 else 0.0
        real_mean, fake_mean = (
            decay * old + (1 - decay) * new.mean() for old, new in ((real_mean, real), (fake_mean, fake))
        )
        expected = (np.maximum(real - fake_mean, 0) ** 2).mean() + (np.maximum(real_mean - fake, 0) ** 2).mean()
        term.begin_step(seen)
        logits = torch.tensor(real, requires_grad=True)
        value = term.combine(logits, torch.tensor(fake))
        assert value.item() == pytest.approx(0.3 * (seen >= 2) * expected, rel=1e-12)
        gradient = 0.3 * (seen >= 2) * 2 * np.maximum(real - fake_mean, 0) / 2  # the averages are constants
        np.testing.assert_allclose(torch.autograd.grad(value, logits)[0].numpy(), gradient, rtol=1e-12, atol=0)
    assert (term.real.item(), term.fake.item()) == pytest.approx((real_mean, fake_mean))
    term.combine(torch.tensor([[np.nan]]), torch.tensor([[np.inf]]))
    assert (term.real.item(), term.fake.item()) == pytest.approx((real_mean, fake_mean)), "non-finite logits"


def test_vdb_ascends_and_stays_above_zero() -> None:
    """beta <- max(0, beta + rate * (K - limit)) after the term."""
    term = VDB(limit=0.5, beta=0.25, rate=0.5).double()
    beta = 0.25
    for real, fake in ((2.0, 1.0), (0.0, 0.5), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)):
        kl = torch.tensor([[real], [real]], dtype=torch.float64, requires_grad=True)
        value = term.combine(kl, torch.full((2, 1), fake, dtype=torch.float64))
        excess = (real + fake) / 2 - 0.5
        assert value.item() == pytest.approx(beta * excess)
        assert torch.autograd.grad(value, kl)[0][:, 0].tolist() == pytest.approx([beta / 4, beta / 4])
        beta = max(0.0, beta + 0.5 * excess)
        assert term.beta.item() == term.reports()["reg/vdb_beta"].item() == pytest.approx(beta)
    assert beta == 0


def test_roth_decays_to_a_hundredth() -> None:
    term = Roth(gamma=2.0, decay_kimg=1.0).double()
    found = []
    for seen in (0, 500, 1000, 5000):
        term.begin_step(seen)
        found.append(term.combine(torch.ones(3).double()).item())
    assert found == pytest.approx([1, 0.1, 0.01, 0.01], rel=1e-6)


def test_the_generator_s_consistency_term_rewards_distance() -> None:
    z = torch.randn(3, 4, dtype=torch.float64)
    noise = torch.randn(3, 4, dtype=torch.float64)
    matrix = torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    synthesize = lambda z: (z @ matrix).reshape(-1, 3, 2, 2)  # noqa: E731
    batch = SynthesisBatch(torch.zeros(3, 1, 4), synthesize(z), {"noise": noise}, z, synthesize)
    value = ZCRGenerator(weight=0.5, sigma=0.1)(batch)
    expected = -0.5 * (0.1 * noise @ matrix).square().mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, matrix)[0], torch.autograd.grad(expected, matrix)[0])


@pytest.mark.parametrize(
    ("name", "buffers"), [("path_length", {"mean"}), ("vdb", {"beta"}), ("lecam", {"real", "fake"})]
)
def test_state_is_saved(name: str, buffers: set[str]) -> None:
    """Public code keeps such state in plain attributes, which are lost when training resumes."""
    assert REGULARIZERS[name]().state_dict().keys() == buffers
