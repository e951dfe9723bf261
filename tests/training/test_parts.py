"""Parts of training: EMA, random inputs, phases, statistics, optimizer."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from stylegen.losses import LOSSES
from stylegen.randomness import Request
from stylegen.regularizers import REGULARIZERS
from stylegen.training.ema import EMA
from stylegen.training.optimizer import AdamSettings, nonfinite_gradients
from stylegen.training.phases import build_phases, lazy_correction
from stylegen.training.random_inputs import InputSpec, KeyedRandomInputs, PhaseInputs, SynthesisInputs
from stylegen.training.statistics import Statistics


def test_ema_half_life() -> None:
    average, live = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.zeros_(average.weight)
    nn.init.ones_(live.weight)
    for _ in range(100):  # 10 kimg in 100 steps: one half-life
        EMA(kimg=10, rampup=None).update(average, live, images_seen=0, batch_size=100)
    assert average.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_ema_ramps_up_and_starts_by_copying() -> None:
    ema = EMA(kimg=10, rampup=0.05)
    assert ema.decay(0, 32) == 0
    assert ema.decay(64_000, 32) == pytest.approx(0.5 ** (32 / 3_200))
    assert ema.decay(10**6, 32) == pytest.approx(0.5 ** (32 / 10_000))


def test_ema_copies_buffers() -> None:
    average, live = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    live.running_mean.fill_(7)
    EMA(rampup=None).update(average, live, 0, 1)
    assert average.running_mean.tolist() == [7, 7]


@pytest.fixture
def random_inputs() -> KeyedRandomInputs:
    return KeyedRandomInputs(seed=1, z_dim=4, label_table=torch.eye(3)[[0, 0, 0, 1]], mixing_prob=0.9)


def tensors(inputs: PhaseInputs | SynthesisInputs) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(inputs) if leaf is not None]


def synthesis_inputs(random_inputs: KeyedRandomInputs, phase: str, count: int, num_ws: int = 1) -> SynthesisInputs:
    inputs = random_inputs.generate(phase, torch.arange(count), InputSpec(generated=count, num_ws=num_ws)).synthesis
    assert inputs is not None
    return inputs


@pytest.mark.parametrize("augmented", [(), ("fake",), ("real", "fake")])
def test_inputs_do_not_depend_on_the_split(random_inputs: KeyedRandomInputs, augmented: Sequence[str]) -> None:
    indices, further = torch.arange(100, 112), {"path_length/direction": Request("normal", (3, 8, 8))}
    options = {"views": augmented, "augmented": True, "image_noise": True, "further": further}
    spec = InputSpec(generated=12, num_ws=8, noise_sizes=[4, 8], image_shape=(3, 8, 8), **options)
    whole = tensors(random_inputs.generate("G_main", indices, spec))
    for rank in range(3):
        own = tensors(random_inputs.generate("G_main", indices[rank::3], replace(spec, generated=4)))
        assert len(own) == len(whole) == 7 + 4 * len(augmented)
        assert all(torch.equal(b, a[rank::3]) for a, b in zip(whole, own, strict=True))


def test_a_shrunk_batch_gets_the_first_inputs(random_inputs: KeyedRandomInputs) -> None:
    spec = InputSpec(generated=12, num_ws=8, noise_sizes=[4, 8])
    whole, part = (
        random_inputs.generate("G_main", torch.arange(12), replace(spec, generated=n)).synthesis for n in (12, 5)
    )
    pairs = zip(tensors(whole.first(5)), tensors(part), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert random_inputs.generate("G_main", torch.arange(12), InputSpec()) == (None, {}, {})


def test_noise_does_not_change_the_other_inputs(random_inputs: KeyedRandomInputs) -> None:
    """So a network without noise trains as if its noise were generated and ignored."""
    spec = InputSpec(generated=12, num_ws=8, noise_sizes=[4, 8])
    noisy, quiet = (
        random_inputs.generate("G_main", torch.arange(12), s).synthesis for s in (spec, replace(spec, noise_sizes=[]))
    )
    assert quiet.noise == ()
    pairs = zip(tensors(noisy._replace(noise=())), tensors(quiet), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_phases_have_independent_inputs(random_inputs: KeyedRandomInputs) -> None:
    first, second = (synthesis_inputs(random_inputs, phase, 8) for phase in ("G_main", "D_main"))
    assert not torch.equal(first.z, second.z)


def test_mixing_probability_and_layers(random_inputs: KeyedRandomInputs) -> None:
    layers = synthesis_inputs(random_inputs, "G_main", 20_000, num_ws=8).first_mixed
    mixed = layers < 8
    assert abs(mixed.double().mean() - 0.9) < 4 * math.sqrt(0.09 / 20_000)
    assert layers[mixed].min() == 1
    assert layers[mixed].max() == 7
    unmixed = KeyedRandomInputs(0, 4, torch.zeros(1, 0), mixing_prob=0)
    assert synthesis_inputs(unmixed, "G_main", 2, num_ws=8).second_z is None


def test_labels_follow_the_datasets_frequencies(random_inputs: KeyedRandomInputs) -> None:
    share = synthesis_inputs(random_inputs, "D_main", 8_000).labels.mean(dim=0)
    assert abs(share[0] - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 8_000)
    assert share[2] == 0


def test_stylegan2s_phases_and_their_correction() -> None:
    regularizers = {name: REGULARIZERS[name]() for name in ("r1", "path_length")}
    phases = build_phases(LOSSES["nonsaturating"](), regularizers)
    described = [(p.name, p.network, p.interval) for p in phases]
    assert described == [("G_main", "G", 1), ("G_path_length", "G", 4), ("D_main", "D", 1), ("D_r1", "D", 16)]
    assert lazy_correction(phases, "G") == pytest.approx(4 / 5)
    assert lazy_correction(phases, "D") == pytest.approx(16 / 17)


def test_a_regularizer_of_every_step_joins_the_main_phase() -> None:
    phases = build_phases(LOSSES["nonsaturating"](), {"r1": REGULARIZERS["r1"](every=1)})
    assert [(p.name, len(p.term.parts)) for p in phases] == [("G_main", 1), ("D_main", 2)]
    assert lazy_correction(phases, "D") == 1


def test_adam_takes_the_correction() -> None:
    settings, weights = (
        AdamSettings(g_lr=0.002, g_betas=(0.5, 0.99), d_betas=(0.1, 0.9)),
        [nn.Parameter(torch.zeros(1))],
    )
    adam = settings.build("G", weights, correction=0.8)
    assert adam.defaults["lr"] == pytest.approx(0.0016)
    assert adam.defaults["betas"] == pytest.approx((0.5**0.8, 0.99**0.8))
    assert settings.build("D", weights, correction=1).defaults["betas"] == (0.1, 0.9)


def test_statistics_leave_out_what_is_not_finite() -> None:
    statistics = Statistics()
    for value in (1.0, float("nan"), 3.0, float("inf")):
        statistics.report("a", torch.tensor(value))
    statistics.report("b", torch.tensor(float("nan")))
    values = statistics.collect()
    assert values["a"] == 2
    assert math.isnan(values["b"])


def test_nonfinite_gradients_are_noticed_anywhere() -> None:
    parameters = [nn.Parameter(torch.zeros(3)) for _ in range(3)]
    for p in parameters:
        p.grad = torch.ones(3)
    assert nonfinite_gradients(parameters).item() == 0
    for value in (float("nan"), float("inf"), -float("inf")):
        parameters[1].grad[2] = value
        assert nonfinite_gradients(parameters).item() == 1


def test_statistics_are_means_since_the_last_record_and_survive_a_checkpoint() -> None:
    statistics = Statistics()
    for value in (1.0, 2.0):
        statistics.report("a", torch.full((3,), value))
    copy = Statistics()
    copy.load_state_dict(statistics.state_dict(), torch.device("cpu"))
    for s in (statistics, copy):
        s.report("a", torch.tensor(6.0))
        s.report("b", torch.tensor(1.0))
        assert s.collect() == {"a": 3.0, "b": 1.0}
        assert s.collect() == {}


def test_the_generator_takes_every_third_step() -> None:
    """Lazy intervals count the generator's own steps, and a step of the discriminator comes first."""
    regularizers = {"r1": REGULARIZERS["r1"](every=2), "path_length": REGULARIZERS["path_length"](every=4)}
    phases = build_phases(LOSSES["nonsaturating"](), regularizers, d_steps_per_g_step=3)
    due = {phase.name: [steps for steps in range(25) if phase.is_due(steps)] for phase in phases}
    assert due["G_main"] == [2, 5, 8, 11, 14, 17, 20, 23]
    assert due["G_path_length"] == [2, 14]
    assert due["D_main"] == list(range(25))
    assert due["D_r1"] == list(range(0, 25, 2))
    assert [phase.weight for phase in phases] == [1, 4, 1, 2]
    assert lazy_correction(phases, "G") == pytest.approx(4 / 5)


def test_the_generators_turn_counts_steps_of_the_discriminator_only() -> None:
    """lightning-generative-models schedules WGAN's n_critic by Lightning's `global_step`, which counts the steps of
    both optimizers: from its second turn on, the generator then comes one step early."""
    main = build_phases(LOSSES["wasserstein"](), {}, d_steps_per_g_step=5)[0]
    ours = [steps for steps in range(40) if main.is_due(steps)]
    wrong, global_step = [], 0
    for steps in range(40):
        global_step += 1  # the discriminator
        if global_step % 5 == 0:
            wrong.append(steps)
            global_step += 1
    assert ours == list(range(4, 40, 5))
    assert wrong == list(range(4, 40, 4))
