"""Compiled terms have the losses and gradients of eager ones, and fall back to them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegen import randomness
from stylegen.layers.equalized import EqualizedConv2d
from stylegen.losses import LOSSES
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.regularizers import REGULARIZERS
from stylegen.training import compilation
from stylegen.training.compilation import CompiledTerms, rare_terms
from stylegen.training.micro_batch import Passes
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, TrainingStep
from stylegen.training.terms import Part, Term, evaluate
from tests.support.double import Double
from tests.support.tiny import tiny_generator

BATCH, SIDE = 4, 8


def new_step(every: int = 1) -> TrainingStep:
    """A step in float64: bounds then separate rounding from errors."""
    with randomness.seeded_construction(0, "critic"):
        critic = Discriminator(SIDE, channel_base=32, channel_max=4, mbstd_group_size=2)
    regularizers = {name: REGULARIZERS[name](every=every) for name in ("r1", "path_length")}
    generator = tiny_generator(SIDE, channel_base=32, channel_max=4, mapping_layers=1)
    random_inputs = Double(KeyedRandomInputs(0, generator.z_dim, torch.zeros(1, 0)))
    return TrainingStep(generator, critic, Objective(LOSSES["nonsaturating"](), regularizers), random_inputs).to(
        torch.float64
    )


def batch(number: int) -> tuple[Tensor, Tensor]:
    images = randomness.normal(0, "images", torch.arange(BATCH) + number * BATCH, (3, SIDE, SIDE))
    return images.double(), torch.zeros(BATCH, 0, dtype=torch.float64)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Equal up to float64 rounding in sums of fewer than 2^16 terms, which a step of Adam amplifies."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_a_compiled_step_trains_like_an_eager_one() -> None:
    """All terms, with double backward, the path length's mean and w_avg; three steps compile each term once."""
    notes: list[str] = []
    eager, compiled = new_step(), new_step()
    compiled.evaluate = CompiledTerms(notes.append, backend="aot_eager")
    for number in range(3):
        eager(*batch(number))
        compiled(*batch(number))
    assert [note.split()[:2] for note in notes] == [["compiled", "loss/G"], ["compiled", "loss/D"]]
    expected = eager.modules.state_dict()
    for name, value in compiled.modules.state_dict().items():
        assert_close(value, expected[name])
    assert compiled.statistics.collect() == pytest.approx(eager.statistics.collect(), rel=1e-6)
    assert expected["regularizers.path_length.mean"] > 0


def gradient_term(scale: Callable[[Tensor], Tensor] = lambda x: x) -> Term:
    """R1 of a discriminator of one layer, with FIR filter and down-sampling."""

    def measure(passes: Passes) -> tuple[Tensor, ...]:
        images = passes.batch.real.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(passes.batch.discriminator(images).sum(), images, create_graph=True)
        return (scale(gradient).square().sum(dim=[1, 2, 3]),)

    return Term((Part("reg/r1", measure, torch.mean, reports=lambda penalty: {"largest": penalty.max()}),))


def arguments() -> tuple[SimpleNamespace, list[nn.Parameter]]:
    with randomness.seeded_construction(0, "critic"):
        critic = EqualizedConv2d(3, 8, 3, activation="swish", down=2)
    real = randomness.normal(0, "images", torch.arange(BATCH), (3, SIDE, SIDE))
    return SimpleNamespace(real=real, discriminator=critic), list(critic.parameters())


def test_kernels_have_the_gradients_of_eager_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    notes: list[str] = []
    batch, parameters = arguments()
    expected, measured = evaluate(gradient_term(), batch, parameters, 2.0)
    found, compiled = CompiledTerms(notes.append)(gradient_term(), batch, parameters, 2.0)
    if compilation.missing_compiler("cpu") is None:
        assert notes[0].startswith("compiled reg/r1 in ")
    for value, other in zip([*found, *compiled.values[0]], [*expected, *measured.values[0]], strict=True):
        # Sums of fewer than 2^12 terms in float32.
        assert (value - other).abs().max() <= 2**12 * 2**-24 * other.abs().max()
    assert list(compiled.reports) == ["reg/r1", "largest"]


def test_a_term_that_cannot_be_compiled_runs_eagerly() -> None:
    notes: list[str] = []
    term = gradient_term(lambda x: (torch._dynamo.graph_break(), x)[1])
    batch, parameters = arguments()
    terms = CompiledTerms(notes.append, backend="aot_eager")
    expected, _ = evaluate(term, batch, parameters, 1.0)
    for _ in range(2):
        found, _ = terms(term, batch, parameters, 1.0)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(notes) == 1
    assert notes[0].startswith("reg/r1 is not compiled: ")


def test_a_later_compilation_that_fails_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Term] = []

    def region(term: Term, *rest: Any) -> Any:
        calls.append(term)
        if len(calls) > 1:
            raise torch._dynamo.exc.FailOnRecompileLimitHit("recompile_limit reached")
        return evaluate(term, *rest)

    notes: list[str] = []
    terms = CompiledTerms(notes.append)
    monkeypatch.setattr(terms, "_compile", lambda name: region)
    batch, parameters = arguments()
    expected, _ = evaluate(gradient_term(), batch, parameters, 1.0)
    for _ in range(3):
        found, _ = terms(gradient_term(), batch, parameters, 1.0)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(calls) == 2
    assert notes[1:] == ["reg/r1 is not compiled: FailOnRecompileLimitHit: recompile_limit reached"]


def test_coupled_terms_of_several_processes_run_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "is_distributed", lambda: True)
    notes: list[str] = []
    batch, parameters = arguments()
    (part,) = gradient_term().parts
    term = Term((replace(part, coupled=True),))
    CompiledTerms(notes.append, backend="aot_eager")(term, batch, parameters, 1.0)
    assert notes == ["reg/r1 is not compiled: it needs the values of the other processes"]


def test_terms_of_lazy_phases_are_not_compiled() -> None:
    assert rare_terms(new_step().phases) == []
    assert rare_terms(new_step(every=4).phases) == ["reg/path_length", "reg/r1"]
