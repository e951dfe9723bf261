"""The fast form against the definition, with first and second gradients, in float64."""

import pytest
import torch
from torch import Tensor

from stylegen.layers.filtered_lrelu import filtered_lrelu
from tests.support.slow_filtered_lrelu import slow_filtered_lrelu

# taps of both filters (a pair for a radial one), factors, padding, clamp
CASES = [
    ((12,), (12,), 2, 2, (9, 8), None),
    ((24,), (12,), 4, 2, (-6, -9), 1.0),
    ((12,), (12, 12), 2, 2, (11, 10), 0.8),
    ((12,), (12,), 2, 2, (13, 9), 0.5),  # padding beyond the filter, on one side
    ((12,), (18,), 2, 3, (9, 10), None),  # samples at the end that no output depends on
    ((5, 5), (7,), 2, 1, (3, 2), None),
    (None, (6,), 1, 2, (3, 4), 0.3),
    (None, None, 1, 1, (0, 0), 0.5),
]


def taps(shape: tuple[int, ...] | None) -> Tensor | None:
    """Asymmetric, so that mirrored filters differ."""
    if shape is None:
        return None
    values = torch.rand(shape, dtype=torch.float64)
    return values / values.sum()


@pytest.mark.parametrize(("up_taps", "down_taps", "up", "down", "padding", "clamp"), CASES)
def test_equals_its_definition_to_the_second_gradient(
    up_taps: tuple[int, ...] | None,
    down_taps: tuple[int, ...] | None,
    up: int,
    down: int,
    padding: tuple[int, int],
    clamp: float | None,
) -> None:
    torch.manual_seed(0)
    filters = taps(up_taps), taps(down_taps)
    x = torch.randn(2, 3, 14, 15, dtype=torch.float64, requires_grad=True)
    fast = filtered_lrelu(x, *filters, up, down, padding, clamp=clamp)
    slow = slow_filtered_lrelu(x, *filters, up, down, padding, clamp=clamp)
    torch.testing.assert_close(fast, slow)
    outer, inner = torch.randn_like(fast), torch.randn_like(x)
    grads = [torch.autograd.grad((y.pow(3) * outer).sum(), x, create_graph=True)[0] for y in (fast, slow)]
    torch.testing.assert_close(*grads)
    seconds = [torch.autograd.grad((grad * inner).sum(), x)[0] for grad in grads]
    assert seconds[1].abs().max() > 0
    torch.testing.assert_close(*seconds)


def test_the_compiled_form_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a compiled region, plain tensor functions replace the custom gradient."""
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64, requires_grad=True)
    filters = taps((12,)), taps((12, 12))
    eager = filtered_lrelu(x, *filters, padding=(9, 8), clamp=0.7)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    plain = filtered_lrelu(x, *filters, padding=(9, 8), clamp=0.7)
    torch.testing.assert_close(plain, eager)
    grads = [torch.autograd.grad(y.square().sum(), x)[0] for y in (plain, eager)]
    torch.testing.assert_close(*grads)


def test_half_precision_and_memory_layout() -> None:
    x, filters = torch.randn(2, 3, 9, 9), (taps((12,)), taps((12,)))
    filters = [f if f is None else f.float() for f in filters]
    exact = filtered_lrelu(x, *filters, padding=(9, 8))
    half = filtered_lrelu(x.bfloat16(), *filters, padding=(9, 8))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)
    last = filtered_lrelu(x.contiguous(memory_format=torch.channels_last), *filters, padding=(9, 8))
    torch.testing.assert_close(last, exact)
