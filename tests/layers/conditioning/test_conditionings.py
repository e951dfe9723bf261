"""Every conditioning against its paper's formula in float64, to second derivatives, and the common contract."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.layers.conditioning import CONDITIONINGS, Affine, batch_statistics, modulate
from tests.support.conditioning_formulas import FORMULAS
from tests.support.conditioning_layers import BATCH_STATISTICS, CHANNELS, condition_for, make


def derivatives(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Value, gradient of its weighted sum, and gradient of that gradient's square."""
    inputs = [v.requires_grad_() for v in inputs]
    y = function(*inputs)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    first = torch.autograd.grad((y * weights).sum() + y.pow(3).sum(), inputs, create_graph=True, allow_unused=True)
    second = torch.autograd.grad(
        sum(g.square().sum() for g in first if g is not None), inputs, allow_unused=True, materialize_grads=True
    )
    return [y, *(torch.zeros_like(v) if g is None else g for g, v in zip(first, inputs, strict=True)), *second]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", CONDITIONINGS)
def test_formula_and_its_derivatives_to_second_order(name: str, count: int) -> None:
    layer = make(name)
    x, v = torch.randn(count, CHANNELS, 2, 3, dtype=torch.float64) * 2 + 1, condition_for(name, count)
    for norm in batch_statistics(layer):
        norm.evaluation = "batch"
    if count == 1:
        layer.eval()  # batch normalization cannot train on a single image
    parameters = dict(layer.named_parameters())
    names = list(parameters)

    def ours(x: Tensor, v: Tensor, *p: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, p, strict=True)), (x, v))

    def theirs(x: Tensor, v: Tensor, *p: Tensor) -> Tensor:
        return FORMULAS[name](x, v, dict(zip(names, p, strict=True)))

    inputs = [x, v, *parameters.values()]
    for mine, expected in zip(derivatives(ours, inputs), derivatives(theirs, inputs), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["adain", "batch_film", "layer_film", "se", "self_modulation", "cin"])
def test_derivatives_equal_finite_differences(name: str) -> None:
    layer = make(name)
    x, v = torch.randn(2, CHANNELS, 2, 2, dtype=torch.float64), condition_for(name, 2)
    inputs = (x.requires_grad_(), v.requires_grad_())
    assert torch.autograd.gradcheck(layer, inputs)
    assert torch.autograd.gradgradcheck(layer, inputs)


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_zero_affine_weights_give_the_normalization(name: str) -> None:
    layer = make(name, 6)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x, condition_for(name, 2)), layer.normalize(x))


@pytest.mark.parametrize("name", [name for name, pair in CONDITIONINGS.items() if pair.kind == "none"])
def test_an_unconditional_layer_ignores_a_condition(name: str) -> None:
    layer, x = make(name), torch.randn(2, CHANNELS, 4, 4, dtype=torch.float64)
    assert torch.equal(layer(x), layer(x, condition_for(name, 2)))


@pytest.mark.parametrize("name", [name for name, pair in CONDITIONINGS.items() if pair.kind != "none"])
def test_a_conditional_layer_uses_its_condition(name: str) -> None:
    layer, x = make(name), torch.randn(2, CHANNELS, 4, 4, dtype=torch.float64)
    assert (layer(x, condition_for(name, 2)) - layer(x, condition_for(name, 2))).abs().max() > 1e-3


def test_modulate_with_zeros_changes_nothing() -> None:
    x = torch.randn(2, 3, 4, 4)
    for shape in ((2, 3), (3,)):
        assert torch.equal(modulate(x, Affine(torch.zeros(shape), torch.zeros(shape))), x)
    torch.testing.assert_close(modulate(x, Affine(torch.ones(3), torch.full((3,), 0.5))), 2 * x + 0.5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", CONDITIONINGS)
def test_half_precision_keeps_its_type_and_does_not_overflow(name: str, dtype: torch.dtype) -> None:
    """The squares of features of 300 overflow float16; w stays in float32, as in a network."""
    layer, v = make(name, 6).float().requires_grad_(False), condition_for(name, 2).float()
    x = (torch.randn(2, 6, 4, 4) * 300).to(dtype)
    y, exact = layer(x, v), layer(x.float(), v)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), exact, rtol=0.02, atol=float(0.01 * exact.abs().max()))


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_the_memory_layout_is_preserved(name: str) -> None:
    layer, v = make(name, 6), condition_for(name, 2)
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64).to(memory_format=torch.channels_last)
    assert layer(x, v).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x, v), layer(x.contiguous(), v))


@pytest.mark.parametrize("name", [n for n, family in CONDITIONINGS.items() if not family.needs_batch])
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    layer, v = make(name), condition_for(name, 4)
    x = torch.randn(4, CHANNELS, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x, v)[2:3], layer(x[2:3], v[2:3]))


@pytest.mark.parametrize("name", ["adain", "instance_film", "scale_only", "shift_only", "cin", "instance_norm"])
def test_an_instance_of_one_pixel_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"1x1 map.*generator.conditioning=layer_film"):
        make(name)(torch.zeros(2, CHANNELS, 1, 1, dtype=torch.float64), condition_for(name, 2))


@pytest.mark.parametrize("name", BATCH_STATISTICS)
def test_one_image_in_training_is_refused(name: str) -> None:
    layer = make(name)
    x, v = torch.zeros(1, CHANNELS, 4, 4, dtype=torch.float64), condition_for(name, 1)
    with pytest.raises(UserError, match=r"batch_size of 2 .* generator.conditioning"):
        layer(x, v)
    layer.eval()(x, v)


def test_pixel_norm_gives_every_pixel_the_same_length() -> None:
    y = CONDITIONINGS["none"](6, 5)(torch.randn(2, 6, 4, 4) * 7)
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(2, 4, 4))
