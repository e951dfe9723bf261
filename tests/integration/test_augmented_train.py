"""Training with augmentation: input of the discriminator, logged values, exact resume."""

from pathlib import Path

import pytest
import torch

from stylegen.augment.pipeline import AdaPipeline
from stylegen.regularizers.gradient_penalty import squared_gradients
from tests.support.augment_inputs import keyed_inputs
from tests.support.micro_batch import RecordingCritic, micro_batch
from tests.support.runs import assert_equal, lines, train

ADA = ["augment=ada", "augment.preset=bgcfnc", "augment.p=0.3", "augment.speed_kimg=0.2"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ada"
    assert train(folder, "total_kimg=0.144", *ADA) == 0
    return folder


def test_strength_and_signs_are_reported_and_saved(undisturbed: Path) -> None:
    records = lines(undisturbed)
    assert all(0 <= r["augment/p"] <= 1 and -1 <= r["augment/sign"] <= 1 for r in records)
    assert len({r["augment/p"] for r in records}) == 3  # p changes
    state = torch.load(undisturbed / "checkpoints" / "last.ckpt", weights_only=True)["augment"]
    assert state["steps"] == 18
    assert state["images"] == 16  # two steps since the last adjustment


@pytest.mark.parametrize("stop", ["0.048", "0.096"])
def test_a_continued_run_ends_bit_for_bit_where_an_undisturbed_one_ends(
    undisturbed: Path, tmp_path: Path, stop: str
) -> None:
    folder = tmp_path / "continued"
    assert train(folder, f"total_kimg={stop}", *ADA) == 0
    assert train(folder, "total_kimg=0.144", *ADA) == 0
    assert lines(folder) == lines(undisturbed)
    ours, theirs = (torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (folder, undisturbed))
    for part in ("weights", "optimizers", "clock", "augment", "statistics"):
        assert_equal(ours[part], theirs[part], part)


def test_changed_augmentation_is_refused(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(undisturbed, "total_kimg=1", *ADA, "augment.target=0.5") == 2
    assert "augment.target: 0.6 -> 0.5" in capsys.readouterr().err
    assert train(undisturbed, "total_kimg=1", "augment=none") == 2
    assert train(undisturbed, "total_kimg=1", *ADA[:1], "augment.preset=bcg") == 2


def test_the_light_choice_and_a_gray_fixed_one(tmp_path: Path) -> None:
    assert train(tmp_path / "light", "total_kimg=0.016", "augment=diffaugment") == 0
    assert lines(tmp_path / "light")[-1]["augment/p"] == 1
    assert train(tmp_path / "fixed", "total_kimg=0.016", "augment=ada", "augment.target=null", "augment.p=0.25") == 0
    assert lines(tmp_path / "fixed")[-1]["augment/p"] == 0.25


def test_real_and_fake_are_augmented_apart_in_every_phase() -> None:
    step, critic, phase = micro_batch(p=0.8)
    for name in ("G_main", "D_main", "D_r1"):
        phase(name).term.measure(phase(name).prepare(step))
    fake_g, real_d, fake_d, real_r1 = critic.seen
    assert all((seen - step.real).abs().amax(dim=(1, 2, 3)).min() > 0.01 for seen in (real_d, real_r1))
    assert (real_d - real_r1).abs().amax() > 0.01  # phases have independent random numbers
    inputs = keyed_inputs(0, "D_main/real", step.indices)
    torch.testing.assert_close(real_d, AdaPipeline("bgc")(step.real, 0.8, inputs))
    assert fake_g.shape == fake_d.shape


def test_r1_differentiates_by_the_image_before_augmentation() -> None:
    step, _, phase = micro_batch(p=0.9)
    term = phase("D_r1").term
    value, _ = term.scalar(term.measure(phase("D_r1").prepare(step)).values)
    x = step.real.clone().requires_grad_(True)
    inputs = keyed_inputs(0, "D_r1/real", step.indices)
    logits = RecordingCritic()(AdaPipeline("bgc")(x, 0.9, inputs), step.labels)
    torch.testing.assert_close(value, 5 * squared_gradients(x, logits).mean())
