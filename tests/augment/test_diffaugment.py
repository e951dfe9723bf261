"""DiffAugment in closed form, its probabilities and derivatives."""

import pytest
import torch

from stylegen.augment.diffaugment import DiffAugment, adjust_color, translate
from stylegen.errors import UserError
from tests.support.augment_inputs import FixedInputs, keyed, noise_images


def test_color() -> None:
    x = noise_images()
    torch.testing.assert_close(adjust_color(x, FixedInputs(4)), x)  # the middle of each range
    torch.testing.assert_close(adjust_color(x, FixedInputs(4, brightness=0.75)), x + 0.25)
    gray = adjust_color(x, FixedInputs(4, saturation=0.0))
    torch.testing.assert_close(gray, x.mean(dim=1, keepdim=True).expand_as(x))
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(adjust_color(x, FixedInputs(4, contrast=0.0)), mean + (x - mean) / 2)


def test_translation_fills_with_zero() -> None:
    x = noise_images(height=16, width=24)
    y = translate(x, FixedInputs(4, xint_x=0.999, xint_y=0.0), limit=1 / 8)  # 3 right, 2 up
    torch.testing.assert_close(y[:, :, :14, 3:], x[:, :, 2:, :21])
    assert not y[:, :, 14:].any()
    assert not y[:, :, :, :3].any()


def test_shifts_are_uniform() -> None:
    x = torch.zeros(5000, 1, 16, 16)
    x[:, :, 8, 8] = 1
    columns = translate(x, keyed(5000), limit=1 / 8).sum(dim=(1, 2)).argmax(dim=1)
    counts = torch.bincount(columns)[6:11] / 5000
    assert len(torch.bincount(columns)) == 11
    assert (counts - 0.2).abs().max() < 4 * (0.16 / 5000) ** 0.5


def test_p_and_policies() -> None:
    x, inputs = noise_images(400, 1, 8, 8), keyed(400)
    assert DiffAugment()(x, 0.0, inputs) is x
    changed = (DiffAugment(["color"])(x, 0.25, inputs) != x).any(dim=3).any(dim=2).double().mean()
    assert abs(changed - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert (DiffAugment()(x, 1.0, inputs) != x).any(dim=3).any(dim=2).all()
    assert torch.equal(DiffAugment([])(x, 1.0, inputs), x)
    with pytest.raises(UserError, match=r"augment.policies=colour.*color"):
        DiffAugment(["colour"])


def test_derivatives() -> None:
    x = noise_images(2, 3, 4, 4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda t: DiffAugment()(t.square(), 1.0, keyed(2)), (x,))
    assert torch.autograd.gradgradcheck(lambda t: DiffAugment()(t.square(), 1.0, keyed(2)), (x,))
