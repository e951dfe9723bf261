"""Whole training steps of R3GAN reproduce the published code's weights, while every schedule moves.

The published loop updates D before G, on two batches of reals; the files are recorded in our order, with one batch.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import r3gan_names as importer
from stylegen.losses.relativistic import Relativistic
from stylegen.networks.r3gan import Generator
from stylegen.networks.r3gan_discriminator import Discriminator
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.r2 import R2
from stylegen.training.ema import EMA
from stylegen.training.optimizer import AdamSettings
from stylegen.training.random_inputs import InputSpec, PhaseInputs, SynthesisInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.golden import Golden, assert_gradient, files, load

PHASES = ["G_main", "D_main"]  # the order of `in.z_per_phase`


class RecordedInputs:
    """The recorded latents. The labels are not: the loss gives generated images the reals' labels."""

    def __init__(self, golden: Golden) -> None:
        self.golden, self.batch, self.attempt = golden, golden.config["batch"], 0

    def generate(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        step = int(indices[0]) // self.batch
        z = self.golden["in.z_per_phase"][step, PHASES.index(phase)]
        return PhaseInputs(SynthesisInputs(z, torch.zeros_like(self.golden["in.c"][step]), noise=()))


def build(golden: Golden) -> TrainingStep:
    G = Generator(**importer.generator_settings(golden.config["generator"]))
    D = Discriminator(**importer.discriminator_settings(golden.config["discriminator"]))
    G.load_state_dict(importer.rename_generator(golden.part("G0.")), strict=False)  # it has no w_avg
    D.load_state_dict(importer.rename_discriminator(golden.part("D0."), G.resolution))
    schedules = golden.config["schedules"]
    lr, beta2, gamma, ema = (schedules[name] for name in ("lr", "beta2", "gamma", "ema"))
    adam = AdamSettings(
        g_lr=lr["base_value"],
        d_lr=lr["base_value"],
        g_betas=(0.0, beta2["base_value"]),
        d_betas=(0.0, beta2["base_value"]),
        beta2_to=beta2["final_value"],
        beta2_kimg=beta2["total_nimg"] / 1000,
        decay="cosine",
        decay_kimg=lr["total_nimg"] / 1000,
        decay_to=lr["final_value"] / lr["base_value"],
        eps=golden.config["eps"],
    )
    penalties = {
        name: kind(gamma["base_value"], 1, gamma["final_value"], gamma["total_nimg"] / 1000)
        for name, kind in (("r1", R1), ("r2", R2))
    }
    assert ema["base_value"] == 0
    options = StepOptions(optimizer=adam, ema=EMA(ema["final_value"] / 1000, None, ema["total_nimg"] / 1000))
    return TrainingStep(G, D, Objective(Relativistic("single"), penalties), RecordedInputs(golden), options)


def trained(golden: Golden) -> TrainingStep:
    step = build(golden)
    for reals, labels in zip(golden["in.reals"], golden["in.c"], strict=True):
        step(reals, labels)
    return step


def expected(golden: Golden, network: str) -> dict[str, Tensor]:
    part = golden.part(f"{network}1.")
    return importer.rename_discriminator(part, 16) if network == "D" else importer.rename_generator(part)


@pytest.mark.parametrize("path", files("r3gan_train_steps"))
def test_training_steps_end_at_the_recorded_weights(path: Path) -> None:
    golden = load(path)
    assert golden.config["steps"] * golden.config["batch"] > golden.config["schedules"]["lr"]["total_nimg"]
    step = trained(golden)
    for network in ("G", "D", "G_ema"):
        state, tensors = getattr(step, network).state_dict(), expected(golden, network)
        assert set(state) - {"mapping.w_avg"} == set(tensors)
        for name, tensor in tensors.items():
            assert_gradient(state[name], tensor, f"{network}.{name}")


@pytest.mark.parametrize("path", files("r3gan_train_steps"))
def test_each_schedule_matters(path: Path) -> None:
    """Without one of the schedules, weights are at least ten times as far from the recorded ones."""

    def error(golden: Golden, network: str) -> float:
        state = getattr(trained(golden), network).state_dict()
        return max(float((state[k] - t).abs().max() / t.abs().max()) for k, t in expected(golden, network).items())

    for name, network in (("lr", "G"), ("beta2", "G"), ("gamma", "D"), ("ema", "G_ema")):
        golden = load(path)
        schedule = golden.config["schedules"][name]
        right = error(golden, network)
        schedule |= {"total_nimg": 1e-3} if name == "ema" else {"final_value": schedule["base_value"]}
        assert error(golden, network) > 10 * right, name
