"""Progressive growing: the published schedule row by row, and edge cases."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from stylegen.config.compose import compose_config
from stylegen.errors import UserError
from stylegen.networks.stylegan1_discriminator import Discriminator
from stylegen.training.growth import Growth, Stage, real_images
from tests.support.tiny import tiny_generator

# StyleGAN's train.py and training_loop.py: minibatch by number of GPUs, from 8x8 up.
BATCHES = {
    "stylegan1_1gpu": [128, 128, 64, 32, 16, 8, 4, 4],
    "stylegan1_2gpu": [256, 128, 64, 32, 16, 8, 8, 8],
    "stylegan1_4gpu": [256, 128, 64, 32, 16, 16, 16, 16],
    "stylegan1": [256, 128, 64, 32, 32, 32, 32, 32],
}
# kimg in the middle of a phase -> resolution, alpha
ROWS = {
    300: (8, 1.0), 900: (16, 0.5), 1500: (16, 1.0), 2100: (32, 0.5), 2700: (32, 1.0), 3300: (64, 0.5), 3900: (64, 1.0),
    4500: (128, 0.5), 5100: (128, 1.0), 5700: (256, 0.5), 6300: (256, 1.0), 6900: (512, 0.5), 7500: (512, 1.0),
    8100: (1024, 0.5), 8700: (1024, 1.0), 24999: (1024, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("option", BATCHES)
def test_the_published_schedule(option: str) -> None:
    growth = Growth(1024, 4, **compose_config("train", [f"growth={option}"]).growth)
    for kimg in ROWS:
        check_row(kimg, growth, BATCHES[option])


def check_row(kimg: int, growth: Growth, batches: list[int]) -> None:
    stage = growth.at(kimg * 1000)
    assert (stage.resolution, stage.alpha) == ROWS[kimg]
    level = [8, 16, 32, 64, 128, 256, 512, 1024].index(stage.resolution)
    assert stage.batch_size == batches[level]
    assert stage.rate * 0.001 == pytest.approx(
        {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}.get(stage.resolution, 0.001)
    )


def test_edges_of_the_phases() -> None:
    growth = Growth(32, 16)
    for images, resolution, alpha, phase in [
        (0, 8, 1.0, 0), (600_000, 8, 1.0, 0), (600_001, 16, 1 / 600_000, 1), (1_199_999, 16, 599_999 / 600_000, 1),
        (1_200_000, 16, 1.0, 2), (1_800_016, 32, 16 / 600_000, 3), (2_400_000, 32, 1.0, 4), (10**8, 32, 1.0, 4),
    ]:  # fmt: skip
        assert growth.at(images) == Stage(resolution, alpha, 16, 1.0, phase)
    assert growth.grown_at == 2_400_000
    assert [(s.resolution, s.phase) for s in growth.stages(10**8)] == [(8, 0), (16, 1), (16, 2), (32, 3), (32, 4)]
    assert [s.phase for s in growth.stages(700_000)] == [0, 1]


def test_a_data_set_of_the_first_resolution_does_not_grow() -> None:
    assert {Growth(8, 16).at(images) for images in (0, 600_001, 10**7)} == {Stage(8, 1.0, 16, 1.0, 0)}


@given(st.integers(0, 10**7), st.integers(1, 400), st.integers(0, 400))
def test_it_never_shrinks(images: int, stable: int, fade: int) -> None:
    growth = Growth(256, 4, stable_kimg=stable, fade_kimg=fade)
    now, later = growth.at(images), growth.at(images + 1)
    assert (later.resolution, later.phase) >= (now.resolution, now.phase)
    assert 0 < now.alpha <= 1
    assert later.alpha >= now.alpha or later.phase > now.phase


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"start_resolution": 64},
            "growth.start_resolution=64: must be a power of two from 4 to 32",
        ),
        ({"start_resolution": 12}, "growth.start_resolution=12"),
        ({"stable_kimg": -1}, "growth.stable_kimg=-1"),
        ({"stable_kimg": 0, "fade_kimg": 0}, "growth.fade_kimg=0"),
        ({"batch_sizes": [8, 0]}, r"growth.batch_sizes=\[8, 0\]"),
        ({"rates": [0.0]}, r"growth.rates=\[0.0\]"),
        ({"rates": [1.0, float("nan")]}, r"growth.rates=\[1.0, nan\]"),
        ({"stable_kimg": float("nan")}, "growth.stable_kimg=nan"),
        ({"fade_kimg": float("inf")}, "growth.fade_kimg=inf"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Growth(32, 16, **settings)


def test_real_images_are_averaged_and_faded() -> None:
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert torch.equal(real_images(x, Stage(32, 1.0, 2, 1.0, 4)), x)
    half = x.reshape(2, 3, 16, 2, 16, 2).mean(dim=(3, 5))
    torch.testing.assert_close(real_images(x, Stage(16, 1.0, 2, 1.0, 2)), half)
    faded = real_images(x, Stage(32, 0.25, 2, 1.0, 3))
    blocks = half.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(faded, 0.75 * blocks + 0.25 * x)
    torch.testing.assert_close(F.avg_pool2d(faded, 2), half)  # a fade keeps the coarse image


def test_a_level_costs_what_its_resolution_costs() -> None:
    """Floating-point operations of images, logits and gradients at 8 px: less than a tenth of those at 64 px."""
    generator = tiny_generator(64, name="stylegan1", channel_base=1024, channel_max=64).requires_grad_(True)
    critic = Discriminator(64, channel_base=1024, channel_max=64)
    cost = {}
    for side in (8, 64):
        generator.set_level(side)
        critic.set_level(side)
        with FlopCounterMode(display=False) as counter:
            critic(generator(torch.zeros(4, generator.z_dim))).sum().backward()
        cost[side] = counter.get_total_flops()
    assert cost[8] < cost[64] / 10
