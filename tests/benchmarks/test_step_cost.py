"""Time by operation, from a profile; GPUs are invented."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from stylegen.benchmarks.step_cost import KERNELS, OUTSIDE, _times


def event(key: str, milliseconds: float, device: DeviceType = DeviceType.CPU, annotation: bool = False) -> Any:
    times = {"self_device_time_total": milliseconds * 1e3, "self_cpu_time_total": 1e6}
    return SimpleNamespace(key=key, device_type=device, is_user_annotation=annotation, **times)


def test_the_time_of_a_kernel_counts_once() -> None:
    """PyTorch gives it to the kernel, and to the operation that launched it."""
    events = [
        event("aten::convolution", 30),
        event("aten::mul", 10),
        event("cudaLaunchKernel", 0),
        event("sm90_convolution", 30, DeviceType.CUDA),
        event("elementwise", 10, DeviceType.CUDA),
        event("random_numbers", 20, DeviceType.CUDA),
        event("Adam.step", 50, DeviceType.CUDA, annotation=True),
    ]
    recorded: Any = SimpleNamespace(key_averages=lambda: events)
    expected = {"convolution": 0.03, "mul": 0.01, KERNELS: 0.02, OUTSIDE: 0.04}
    assert _times(recorded, on_gpu=True, total=0.1) == pytest.approx(expected)


def test_the_time_on_a_cpu() -> None:
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    times = _times(recorded, on_gpu=False, total=1.0)
    assert {"mm", "ones", OUTSIDE} <= set(times)
    assert KERNELS not in times
    assert sum(times.values()) == pytest.approx(1.0)
