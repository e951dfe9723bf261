"""Activation, equalized layers, minibatch standard deviation."""

import math

import pytest
import torch
import torch.nn.functional as F

from stylegen.errors import UserError
from stylegen.layers.activation import ACTIVATIONS, bias_act
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.minibatch_std import MinibatchStd


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_homogeneous_activations_commute_with_a_gain(name: str) -> None:
    x, entry = torch.randn(100, dtype=torch.float64), ACTIVATIONS[name]
    same = torch.allclose(entry.function(2.5 * x), 2.5 * entry.function(x))
    assert same == entry.homogeneous


def test_unknown_activation_offers_the_nearest() -> None:
    with pytest.raises(UserError, match="lrelu"):
        bias_act(torch.zeros(1, 1), activation="lerlu")


@pytest.mark.parametrize("activation", ["lrelu", "swish"])
@pytest.mark.parametrize("gain", [1.0, math.sqrt(0.5)])
def test_equalized_conv_is_a_scaled_convolution(activation: str, gain: float) -> None:
    layer = EqualizedConv2d(4, 6, 3, activation=activation, conv_clamp=0.7).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    weight = layer.weight / math.sqrt(4 * 9)
    y = ACTIVATIONS[activation].function(F.conv2d(x, weight, layer.bias, padding=1)) * math.sqrt(2) * gain
    torch.testing.assert_close(layer(x, gain=gain), y.clamp(-0.7 * gain, 0.7 * gain))


def test_equalized_linear_learns_at_its_multiplier() -> None:
    layer = EqualizedLinear(8, 3, "lrelu", bias_init=0.5, lr_multiplier=0.01)
    x = torch.randn(5, 8)
    y = F.leaky_relu(x @ (layer.weight * 0.01 / math.sqrt(8)).t() + 0.5, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x), y)
    assert abs(layer.weight.std() * 0.01 - 1) < 0.5


@pytest.mark.parametrize(("count", "group", "channels"), [(8, 4, 1), (4, 4, 2), (6, 3, 1), (2, 4, 1)])
def test_minibatch_std_by_its_definition(count: int, group: int, channels: int) -> None:
    x = torch.randn(count, 6, 2, 3, dtype=torch.float64)
    y = MinibatchStd(group, channels)(x)
    assert torch.equal(y[:, :6], x)
    size = min(group, count)
    groups = count // size
    for n in range(count):
        members = x[n % groups :: groups]
        assert len(members) == size
        deviation = (members.var(dim=0, correction=0) + 1e-8).sqrt().reshape(channels, -1)
        for f in range(channels):
            torch.testing.assert_close(y[n, 6 + f], deviation[f].mean().expand(2, 3))


def test_minibatch_std_groups_do_not_depend_on_the_split_over_ranks() -> None:
    x = torch.randn(8, 3, 2, 2)
    whole, layer = MinibatchStd(2)(x), MinibatchStd(2)
    for rank in range(2):
        torch.testing.assert_close(layer(x[rank::2]), whole[rank::2])


def test_a_batch_that_is_no_multiple_of_the_group_is_refused() -> None:
    with pytest.raises(UserError, match="mbstd_group_size=4"):
        MinibatchStd(4)(torch.zeros(6, 1, 1, 1))
