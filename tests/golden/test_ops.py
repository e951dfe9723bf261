"""FIR resampling, bias and activation, resampling and modulated convolutions reproduce the reference operations."""

from pathlib import Path

import pytest
import torch

from stylegen.layers.activation import bias_act
from stylegen.layers.modulated_conv import modulated_conv2d
from stylegen.layers.resample import conv2d_resample, fir_filter, upfirdn2d
from tests.support.golden import Golden, assert_output, files, load


@pytest.fixture(params=files("ops"))
def golden(request: pytest.FixtureRequest) -> Golden:
    path: Path = request.param
    return load(path)


def pair(value: int | list[int]) -> int | tuple[int, int]:
    return value if isinstance(value, int) else (value[0], value[1])


def test_upfirdn2d(golden: Golden) -> None:
    cases = {k: v for k, v in golden.config.items() if k.startswith("upfirdn.")}
    assert cases
    for name, case in cases.items():
        kernel = fir_filter(case["taps"])
        torch.testing.assert_close(kernel, golden[f"{name}.filter"])
        padding = case["padding_x0x1y0y1"]
        out = upfirdn2d(
            golden["upfirdn.x"],
            kernel,
            up=pair(case["up"]),
            down=pair(case["down"]),
            padding=padding if isinstance(padding, int) else tuple(padding),
            flip_filter=case["flip_filter"],
            gain=case["gain"],
        )
        assert_output(out, golden[f"{name}.out"], name)


def test_bias_act(golden: Golden) -> None:
    cases = golden.part("bias_act.")
    bias, clamp = cases.pop("bias"), golden.config["bias_act"]["clamp"]
    assert cases
    for activation, expected in cases.items():
        assert_output(bias_act(golden["upfirdn.x"], bias, activation, clamp=clamp), expected, activation)


def test_conv2d_resample(golden: Golden) -> None:
    kernel = fir_filter([1, 3, 3, 1])
    cases = [name for name in golden.tensors if name.startswith("conv.w") and ".up" in name]
    assert cases
    for name in cases:
        _, weight, up, down = name.split(".")
        out = conv2d_resample(
            golden["conv.x"],
            golden[f"conv.{weight}"],
            kernel=kernel,
            up=int(up.removeprefix("up")),
            down=int(down.removeprefix("down")),
        )
        assert_output(out, golden[name], name)


def test_modulated_conv2d(golden: Golden) -> None:
    kernel = fir_filter([1, 3, 3, 1])
    cases = [name for name in golden.tensors if name.startswith("modulated.demod")]
    assert cases
    for name in cases:
        _, demodulate, up = name.split(".")
        out = modulated_conv2d(
            golden["conv.x"],
            golden["conv.w3"],
            golden["modulated.styles"],
            kernel,
            demodulate=demodulate == "demod1",
            up=int(up.removeprefix("up")),
        )
        assert_output(out, golden[name], name)
