"""R1 and WGAN-GP in a growing run: gradients at the full-size image, as in StyleGAN's published code."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.losses import LOSSES
from stylegen.networks.stylegan1_discriminator import Discriminator
from stylegen.regularizers.gradient_penalty import EPS
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.regularizer import CriticBatch
from stylegen.regularizers.wgan_gp import WGANGP
from stylegen.training.growth import Growth, real_images
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.tiny import tiny_generator

RESOLUTION, GAMMA, EVERY, CLASSES = 16, 10.0, 4, 2
# Level of detail -> images seen, if 4, 8 and 16 px train for 1 kimg each and 8 and 16 px fade in over 1 kimg each.
MOMENTS = {2: 0, 1.3: 1700, 1: 2000, 0.3: 3700, 0: 4000}


def blocks_of(images: Tensor, side: int) -> Tensor:
    """[N, C, H, H] -> [N, C, H/side, H/side]: mean of each block, one pixel at a time."""
    return sum(images[:, :, i::side, j::side] for i in range(side) for j in range(side)) / side**2


def tiled(images: Tensor, side: int) -> Tensor:
    return images.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)


def published_reals(images: Tensor, lod: float) -> Tensor:
    """The dataset's images at this level of detail, their two resolutions blended, tiled to full size."""
    side = 2 ** math.floor(lod)
    images = blocks_of(images, side)
    share = lod - math.floor(lod)
    blended = (1 - share) * images + share * tiled(blocks_of(images, 2), 2) if share else images
    return tiled(blended, side)


def published_logits(D: Discriminator, images: Tensor, labels: Tensor, lod: float) -> Tensor:
    """Runs all resolutions from the full size down at every level; each resolution's image enters with its weight."""
    features, alpha = None, 1.0
    for depth, side in enumerate(reversed(D.resolutions[1:])):
        features = D.blocks[str(side)](features, images, alpha)
        images, alpha = blocks_of(images, 2), 1 - min(max(lod - depth, 0.0), 1.0)
    logits, _ = D.epilogue(features, images, alpha)
    return (logits * labels).sum(dim=1, keepdim=True)


def published_squares(D: Discriminator, reals: Tensor, labels: Tensor, lod: float) -> Tensor:
    """The squared norm of the gradient at full-size images: [N]."""
    reals = reals.detach().requires_grad_(True)
    logits = published_logits(D, reals, labels, lod)
    (gradient,) = torch.autograd.grad(logits.sum(), reals, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def new_step(batch_per_device: int | None = None) -> TrainingStep:
    with randomness.seeded_construction(0, "critic"):
        critic = Discriminator(RESOLUTION, 3, CLASSES, channel_base=128, channel_max=8, mbstd_group_size=2)
    growth = Growth(RESOLUTION, 4, start_resolution=4, stable_kimg=1, fade_kimg=1)
    generator = tiny_generator(RESOLUTION, name="stylegan1", num_classes=CLASSES)
    objective = Objective(LOSSES["nonsaturating"](), {"r1": R1(GAMMA, EVERY)})
    options = StepOptions(batch_per_device=batch_per_device, growth=growth)
    return TrainingStep(generator, critic, objective, KeyedRandomInputs(0, 8, torch.eye(CLASSES)), options).to(
        torch.float64
    )


def r1_by_training(step: TrainingStep, images: Tensor, labels: Tensor, lod: float) -> tuple[float, dict[str, Any]]:
    """The reported term, and the gradients after the lazy phase of a training step."""
    step.images_seen = MOMENTS[lod]
    step._set_level()
    step.D.requires_grad_(True)
    (phase,) = (phase for phase in step.phases if phase.name == "D_r1")
    measured = phase.backward(step._micro_batches(images, labels), list(step.D.parameters()))
    gradients = {name: p.grad for name, p in step.D.named_parameters()}
    penalty = torch.stack([part.reports["reg/r1"] for part in measured]).mean()
    return penalty.item(), gradients


@pytest.mark.parametrize("batch_per_device", [None, 2])
@pytest.mark.parametrize("lod", MOMENTS)
def test_it_equals_the_full_size_image(lod: float, batch_per_device: int | None) -> None:
    images = torch.rand(4, 3, RESOLUTION, RESOLUTION, dtype=torch.float64) * 2 - 1
    labels = torch.eye(CLASSES, dtype=torch.float64)[[0, 1, 1, 0]]
    step = new_step(batch_per_device)
    stage = step.growth.at(MOMENTS[lod])
    assert (stage.resolution, stage.alpha) == (RESOLUTION >> math.floor(lod), pytest.approx(1 - lod + math.floor(lod)))
    value, gradients = r1_by_training(step, images, labels, lod)
    expected = GAMMA / 2 * published_squares(step.D, published_reals(images, lod), labels, lod).mean()
    assert value == pytest.approx(expected.item(), rel=1e-6)  # statistics are float32
    step.D.zero_grad(set_to_none=True)
    (EVERY * expected).backward()
    assert_gradients(step.D, gradients)


@pytest.mark.parametrize("lod", MOMENTS)
def test_wgan_gp_equals_the_full_size_image(lod: float) -> None:
    step, side = new_step(), 2 ** math.floor(lod)
    step.images_seen = MOMENTS[lod]
    step._set_level()
    D, stage = step.D, step.growth.at(MOMENTS[lod])
    images = torch.rand(4, 3, RESOLUTION, RESOLUTION).double() * 2 - 1
    labels = torch.eye(CLASSES).double()[[0, 1, 1, 0]]
    fake = torch.rand(4, 3, stage.resolution, stage.resolution).double() * 2 - 1
    share = torch.rand(4, 1, 1, 1).double()
    batch = CriticBatch(
        critic=lambda x, c, view: D.outputs(x, c),
        real=real_images(images, stage),
        labels=labels,
        fake=fake,
        fake_labels=labels,
        downscale=side,
        random={"share": share},
    )
    value = WGANGP()(batch)
    value.backward()
    gradients = {name: p.grad for name, p in D.named_parameters()}
    D.zero_grad(set_to_none=True)
    mixed = share * published_reals(images, lod) + (1 - share) * tiled(fake, side)
    expected = 10 * ((published_squares(D, mixed, labels, lod) + EPS).sqrt() - 1).square().mean()
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-10)
    assert_gradients(D, gradients)


def assert_gradients(D: Discriminator, found: dict[str, Any]) -> None:
    """The gradients of the parameters; None is zero."""
    for name, parameter in D.named_parameters():
        pair = (torch.zeros_like(parameter) if g is None else g for g in (found[name], parameter.grad))
        torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-12, msg=name)
