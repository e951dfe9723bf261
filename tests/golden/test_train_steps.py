"""Whole training steps reproduce the reference's weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import stylegan2_names as importer
from stylegen.losses import LOSSES
from stylegen.networks.stylegan2 import Generator
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.regularizers import Regularizer
from stylegen.regularizers.path_length import PathLength
from stylegen.regularizers.r1 import R1
from stylegen.training.compilation import CompiledTerms, rare_terms
from stylegen.training.ema import EMA
from stylegen.training.optimizer import AdamSettings
from stylegen.training.random_inputs import InputSpec, PhaseInputs, SynthesisInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.golden import Golden, assert_gradient, assert_output, files, load

PHASES = ["G_main", "G_path_length", "D_main", "D_r1"]  # the order of `in.z_per_phase`


class RecordedInputs:
    """The reference's latents and directions."""

    def __init__(self, golden: Golden) -> None:
        self.golden, self.batch = golden, golden.config["batch"]

    def _step(self, indices: Tensor) -> int:
        return int(indices[0]) // self.batch

    def generate(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        if not spec.generated:
            return PhaseInputs()
        z = self.golden["in.z_per_phase"][self._step(indices), PHASES.index(phase)][: spec.generated]
        noise = tuple(torch.zeros(len(z), 1, r, r) for r in spec.noise_sizes)  # the network has no noise inputs
        further = {key: self.golden["in.pl_noise"][self._step(indices)] for key in spec.further}
        return PhaseInputs(SynthesisInputs(z, torch.zeros(len(z), 0), noise=noise), further=further)


def build(golden: Golden) -> TrainingStep:
    config = golden.config
    G = Generator(**importer.generator_settings(config["generator"]))
    D = Discriminator(**importer.discriminator_settings(config["discriminator"]))
    G.load_state_dict(importer.rename_generator(golden.part("G0.")))
    D.load_state_dict(importer.rename_discriminator(golden.part("D0.")))
    regularizers: dict[str, Regularizer] = {
        "path_length": PathLength(
            config["pl_weight"], config["pl_decay"], config["G_reg_interval"], config["pl_batch_shrink"]
        ),
        "r1": R1(config["r1_gamma"], config["D_reg_interval"]),
    }
    adam = AdamSettings(config["lr"], config["lr"], config["betas"], config["betas"], config["eps"])
    options = StepOptions(optimizer=adam, ema=EMA(config["ema_kimg"], config["ema_rampup"]), w_avg_decay=0.998)
    objective = Objective(LOSSES["nonsaturating"](), regularizers)
    return TrainingStep(G, D, objective, RecordedInputs(golden), options)


@pytest.mark.parametrize("path", files("train_steps"))
@pytest.mark.parametrize("backend", [None, "aot_eager"], ids=["eager", "compiled"])
def test_training_steps_end_at_the_recorded_weights(path: Path, backend: str | None) -> None:
    golden, notes = load(path), list[str]()
    step = build(golden)
    if backend is not None:
        step.evaluate = CompiledTerms(notes.append, eager=rare_terms(step.phases), backend=backend)
    assert len(golden["in.reals"]) == golden.config["steps"]
    for reals in golden["in.reals"]:
        step(reals, torch.zeros(len(reals), 0))
    expected = {
        "G": importer.rename_generator(golden.part("G1.")),
        "D": importer.rename_discriminator(golden.part("D1.")),
        "G_ema": importer.rename_generator(golden.part("G_ema1.")),
    }
    for network, tensors in expected.items():
        state = getattr(step, network).state_dict()
        assert set(state) == set(tensors)
        for name, tensor in tensors.items():
            assert_gradient(state[name], tensor, f"{network}.{name}")
    assert_output(step.regularizers["path_length"].mean, golden["out.pl_mean"])
    assert [note.split()[:2] for note in notes] == ([["compiled", "loss/G"], ["compiled", "loss/D"]] if backend else [])
