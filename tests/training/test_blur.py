"""The blur of the discriminator's images, against a convolution matrix in float64, and where it is applied."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stylegen.config.compose import compose_config
from stylegen.config.rules import obstacle_to_compile
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError
from stylegen.networks import StyleDiscriminator
from stylegen.networks.discriminator import RandomInputs
from stylegen.regularizers.r1 import R1
from stylegen.training.blur import BlurRamp, blur
from stylegen.training.micro_batch import Passes
from tests.support.micro_batch import micro_batch


def matrix(size: int, sigma: float) -> Tensor:
    """B [size, size] in float64, one element at a time; the blurred image is B X B^T."""
    reach = math.floor(3 * sigma)
    total = sum(2.0 ** -((d / sigma) ** 2) for d in range(-reach, reach + 1))
    rows = [
        [2.0 ** -(((i - j) / sigma) ** 2) / total if abs(i - j) <= reach else 0.0 for j in range(size)]
        for i in range(size)
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [10.0, 2.5, 0.34])
def test_it_is_a_truncated_gaussian_with_zeros_outside(sigma: float) -> None:
    """Also where the filter is larger than the image."""
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(blur(x, sigma), matrix(8, sigma) @ x @ matrix(12, sigma).T)


def test_below_a_third_of_a_pixel_it_leaves_images_alone() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert blur(x, 0.33) is x
    assert blur(x, 0.0) is x


def test_it_fades_with_the_images_seen() -> None:
    ramp = BlurRamp(sigma=10, fade_kimg=200)
    found = [ramp.sigma_at(images) for images in (0, 50_000, 190_000, 200_000, 25_000_000)]
    assert found == pytest.approx([10, 7.5, 0.5, 0, 0])
    assert BlurRamp(sigma=10, fade_kimg=0).sigma_at(0) == 0
    assert BlurRamp().sigma_at(0) == 0


def test_the_discriminator_sees_real_and_generated_images_blurred_before_their_augmentation() -> None:
    seen = []
    for sigma, p in ((0.0, 0.0), (2.0, 0.0), (2.0, 1.0)):
        torch.manual_seed(0)  # of the real images
        batch, critic, phase = micro_batch(p)
        batch = phase("D_main").prepare(replace(batch, blur_sigma=sigma))
        phase("D_main").term.measure(batch)
        seen.append(critic.seen)
    assert batch.augment is not None
    for sharp, blurred, augmented in zip(*seen, strict=True):
        torch.testing.assert_close(blurred, blur(sharp, 2.0))
        view = "real" if torch.equal(sharp, batch.real) else "fake"
        torch.testing.assert_close(augmented, batch.augment(blurred, batch.inputs.augment.pop(view)))


class LinearCritic(StyleDiscriminator):
    """D(x) = sum(a x)."""

    def __init__(self, a: Tensor) -> None:
        super().__init__()
        self.a = a

    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        return DiscriminatorOutputs((x * self.a).sum(dim=(1, 2, 3))[:, None])


def test_r1_is_the_gradient_at_the_sharp_image() -> None:
    """D(B x B^T) has the gradient B^T a B."""
    batch, _, _ = micro_batch(p=0.0)
    a = torch.randn(3, 16, 16, dtype=torch.float64)
    batch = replace(batch, augment=None, blur_sigma=2.0, discriminator=LinearCritic(a), real=batch.real.double())
    found = R1(gamma=2).measure(Passes(batch, ["real"]).critic_batch("r1", generate=False))
    expected = (matrix(16, 2).T @ a @ matrix(16, 2)).square().sum()
    torch.testing.assert_close(found, expected.expand_as(found))


def test_a_run_with_blur_is_not_compiled() -> None:
    config = compose_config("train", ["blur.sigma=10"])
    assert "blur" in str(obstacle_to_compile(config))


@pytest.mark.parametrize("settings", [{"sigma": -1}, {"sigma": math.nan}, {"fade_kimg": -1}])
def test_impossible_settings(settings: dict[str, float]) -> None:
    name, value = next(iter(settings.items()))
    with pytest.raises(UserError, match=rf"blur\.{name}={value}"):
        BlurRamp(**settings)
