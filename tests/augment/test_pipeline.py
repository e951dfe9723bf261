"""The whole pipeline: identity, presets, splits of a batch, channels, derivatives."""

import pytest
import torch

from stylegen.augment.pipeline import PRESETS, AdaPipeline, operations_of
from stylegen.errors import UserError
from tests.support.augment_inputs import FixedInputs, keyed, keyed_inputs, noise_images, smooth

EVERYTHING = AdaPipeline("bgcfnc")


def test_presets_are_the_papers() -> None:
    assert set(PRESETS) == {
        *("blit", "geom", "color", "filter", "noise", "cutout"),
        *("bg", "bgc", "bgcf", "bgcfn", "bgcfnc"),
    }
    assert operations_of("bgc") == operations_of("blit+geom+color")
    assert operations_of("bgcfnc") == operations_of("bgcfn") | {"cutout"}
    assert operations_of("xflip+hue") == {"xflip", "hue"}
    with pytest.raises(UserError, match=r"augment.preset=bcg.*bgc"):
        AdaPipeline("bcg")


@pytest.mark.parametrize("preset", PRESETS)
def test_identity_at_p_zero_bit_for_bit(preset: str) -> None:
    x = noise_images().float()
    assert torch.equal(AdaPipeline(preset)(x, 0.0, keyed()), x)


@pytest.mark.parametrize("preset", PRESETS)
def test_closed_gates_leave_the_image(preset: str) -> None:
    x = noise_images()
    torch.testing.assert_close(AdaPipeline(preset)(x, 0.5, FixedInputs(4)), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", PRESETS)
def test_strength_changes_the_image(preset: str) -> None:
    x = noise_images(16)
    assert (AdaPipeline(preset)(x, 0.9, keyed(16)) - x).abs().max() > 0.1


def test_a_shift_in_the_pipeline_moves_the_image_right_and_down() -> None:
    x = smooth()
    y = AdaPipeline("xint")(x, 1.0, FixedInputs(2, xint_x=0.9, xint_y=0.8))  # 0.8 * 4 = 3.2 and 0.6 * 4 = 2.4
    torch.testing.assert_close(y[:, :, 2:, 3:], x[:, :, :-2, :-3], atol=1e-4, rtol=0)


def test_a_batch_may_be_split() -> None:
    """Each image depends on its own pixels and numbers only; the padding shared by a batch has no effect."""
    x = noise_images(6)
    whole = EVERYTHING(x, 0.8, keyed(6))
    for rank in range(3):
        part = EVERYTHING(x[rank::3], 0.8, keyed_inputs(0, "D_main/real", torch.arange(6)[rank::3], x.shape[1:]))
        torch.testing.assert_close(part, whole[rank::3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [8, 32])
def test_shapes(channels: int, size: int) -> None:
    x = noise_images(2, channels, size, size)
    y = EVERYTHING(x, 0.9, keyed(2, noise=x.shape[1:]))
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()
    last = EVERYTHING(x.contiguous(memory_format=torch.channels_last), 0.9, keyed(2, noise=x.shape[1:]))
    torch.testing.assert_close(last, y)


def test_half_precision_is_augmented_in_float32() -> None:
    x = noise_images().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = EVERYTHING(x, 0.9, keyed())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, EVERYTHING(x.float(), 0.9, keyed()))


@pytest.mark.parametrize("channels", [1, 3])
def test_derivatives(channels: int) -> None:
    """First and second derivatives with respect to the images, with all operations enabled."""
    x = noise_images(1, channels, 5, 4).requires_grad_(True)
    inputs = keyed(1, first=3, noise=x.shape[1:])
    assert torch.autograd.gradcheck(lambda t: EVERYTHING(t.square(), 1.0, inputs), (x,))
    assert torch.autograd.gradgradcheck(lambda t: EVERYTHING(t.square(), 1.0, inputs), (x,))


def test_second_derivative_of_a_penalty_equals_the_matrix() -> None:
    """The pipeline is affine in the image, A x + b, so the gradient of |A^T w|^2 with respect to w is 2 A A^T w."""
    x = noise_images(1, 1, 6, 6)
    inputs = keyed(1, first=5, noise=x.shape[1:])
    A = torch.autograd.functional.jacobian(lambda t: EVERYTHING(t, 1.0, inputs), x).reshape(36, 36)
    w = torch.randn(36, dtype=torch.float64, requires_grad=True)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad((EVERYTHING(x, 1.0, inputs).flatten() * w).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), w)
    torch.testing.assert_close(second, 2 * A @ A.T @ w.detach())
