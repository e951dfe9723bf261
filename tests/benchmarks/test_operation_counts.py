"""Counts agree with formulas, in forward, backward and double backward."""

import gc

import pytest
import torch
from torch.nn import functional as F

from stylegen.benchmarks.operation_counts import LiveMemory, OperationCounts


def convolution(groups: int, transposed: bool) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Image, weight, and the floating-point operations of their convolution without padding."""
    image = torch.randn(2, 8, 10, 10, requires_grad=True)
    shape = (8, 12 // groups, 3, 3) if transposed else (12, 8 // groups, 3, 3)
    pixels = 10 * 10 if transposed else 8 * 8  # each is multiplied by every weight of its group
    return image, torch.randn(shape, requires_grad=True), 2 * 2 * pixels * 12 * 8 // groups * 9


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_floating_point_operations_of_convolutions(groups: int, transposed: bool) -> None:
    image, weight, forward = convolution(groups, transposed)
    convolve = F.conv_transpose2d if transposed else F.conv2d
    with OperationCounts() as counts:
        convolve(image, weight, groups=groups).sum().backward()
    assert counts.flops == {"aten.convolution": forward, "aten.convolution_backward": 2 * forward}


@pytest.mark.parametrize("transposed", [False, True])
def test_floating_point_operations_of_double_backward(transposed: bool) -> None:
    """A gradient penalty with one nonlinear layer takes six times the forward pass: the forward pass, the gradient by
    the image, its two gradients, and the two gradients of the forward pass."""
    image, weight, forward = convolution(1, transposed)
    convolve = F.conv_transpose2d if transposed else F.conv2d
    with OperationCounts() as counts:
        (gradient,) = torch.autograd.grad(convolve(image, weight).square().sum(), image, create_graph=True)
        gradient.square().sum().backward()
    assert counts.flops.total() == 6 * forward


def test_operations_are_counted_without_views_and_allocations() -> None:
    with OperationCounts() as counts:
        x = torch.empty(4, 6).fill_(1.0)
        y = (x.view(6, 4).t()[1:] * 2).contiguous()
        torch.mm(y, y.t())
    assert counts.operations == {"aten.fill_": 1, "aten.mul": 1, "aten.clone": 1, "aten.mm": 1}
    assert counts.flops == {"aten.mm": 2 * 3 * 6 * 3}


def test_live_memory_counts_each_storage_while_it_is_alive() -> None:
    with LiveMemory() as memory:
        first = torch.zeros(1000)
        part = first[10:20]
        second = torch.zeros(500)
        assert memory.bytes == 6000
        del second
        gc.collect()
        assert memory.bytes == 4000
        del first
        assert memory.bytes == 4000, "a view keeps its storage"
        del part
    gc.collect()
    assert (memory.bytes, memory.peak) == (0, 6000)


def test_live_memory_counts_existing_tensors_once() -> None:
    weight = torch.zeros(100)
    with LiveMemory() as memory:
        memory.add(weight)
        memory.add(weight.view(10, 10))
        weight.add_(1)
    assert memory.peak == 400
