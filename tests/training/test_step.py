"""The training step in a plain loop: the documented example, and exact continuation."""

import copy
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.augment import Augmentation, Controller
from stylegen.augment.pipeline import AdaPipeline
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.blur import BlurRamp
from stylegen.training.optimizer import AdamSettings
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.runs import assert_equal
from tests.support.tiny import tiny_generator

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "plain_loop.py"


def test_the_documented_loop_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("plain_loop", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.train(tmp_path / "plain.safetensors", total_images=48, channel_base=128, channel_max=8)
    snapshot = load_snapshot(tmp_path / "plain.safetensors")
    assert snapshot.info["images_seen"] == 48
    assert all(parameter.isfinite().all() for parameter in snapshot.generator.parameters())


def test_the_page_shows_the_example() -> None:
    shown = (DOCS / "plain-loop.md").read_text().split("```python\n")[1].split("```")[0].splitlines()
    assert 10 <= len(shown) <= 11
    assert "\n".join(f"    {line}" for line in shown) in EXAMPLE.read_text()


def new_step(generator: str = "stylegan2", **settings: Any) -> TrainingStep:
    """With a blur that fades out within 40 images."""
    discriminator = DISCRIMINATORS["stylegan2"](resolution=16, channel_base=128, channel_max=8)
    regularizers = {name: REGULARIZERS[name](every=2) for name in ("r1", "path_length")}
    augment = Augmentation(AdaPipeline("bgc"), Controller(p=0.3, every=2, speed_kimg=0.1))
    random_inputs = KeyedRandomInputs(seed=0, z_dim=8, label_table=torch.zeros(1, 0))
    objective = Objective(LOSSES["nonsaturating"](), regularizers, augment, BlurRamp(sigma=2, fade_kimg=0.04))
    return TrainingStep(tiny_generator(name=generator, **settings), discriminator, objective, random_inputs)


@pytest.mark.parametrize("network", [{}, {"generator": "stylegan3", "num_layers": 3, "margin_size": 2}])
def test_a_loaded_step_continues_exactly(network: dict[str, Any]) -> None:
    """Means of w and of magnitudes, path length, blur and augmentation included."""
    batches = torch.rand(5, 8, 3, 16, 16) * 2 - 1
    whole = new_step(**network)
    for number, images in enumerate(batches):
        if number == 3:
            middle = copy.deepcopy(whole.state_dict())
        whole(images, torch.zeros(8, 0))
    continued = new_step(**network)
    continued.load_state_dict(middle)
    assert (continued.images_seen, continued.steps) == (24, 3)
    for images in batches[3:]:
        continued(images, torch.zeros(8, 0))
    assert_equal(continued.state_dict(), whole.state_dict())
    assert list(whole.state_dict()["statistics"]) == list(whole.statistics.collect())


def test_magnitudes_of_the_whole_batch_move_stylegan3() -> None:
    """Once per step, by the D main phase, in any number of micro-batches; G_ema has a copy."""
    found = []
    for share in (None, 4):
        objective = Objective(LOSSES["nonsaturating"]())
        random_inputs = KeyedRandomInputs(seed=0, z_dim=8, label_table=torch.zeros(1, 0))
        discriminator = DISCRIMINATORS["stylegan2"](resolution=16, channel_base=128, channel_max=8, mbstd_group_size=1)
        generator = tiny_generator(name="stylegan3", num_layers=3, magnitude_ema_beta=0.5)
        step = TrainingStep(
            generator,
            discriminator,
            objective,
            random_inputs,
            StepOptions(AdamSettings(g_lr=1e-9), batch_per_device=share),
        )
        step(torch.rand(8, 3, 16, 16) * 2 - 1, torch.zeros(8, 0))
        found.append(torch.stack([layer.magnitude_ema for layer in step.G.synthesis.layers]))
        assert_equal(dict(step.G_ema.named_buffers()), dict(step.G.named_buffers()))
    assert (found[0] != 1).all()
    torch.testing.assert_close(found[1], found[0])


def test_a_step_without_finite_gradients_changes_no_weights() -> None:
    step = new_step()
    step(torch.rand(8, 3, 16, 16) * 2 - 1, torch.zeros(8, 0))
    before = {name: p.clone() for name, p in step.D.named_parameters()}
    step(torch.full((8, 3, 16, 16), torch.nan), torch.zeros(8, 0))
    assert all(torch.equal(p, before[name]) for name, p in step.D.named_parameters())
    assert step.in_bad_streak()
    assert not step.in_bad_streak(2)
