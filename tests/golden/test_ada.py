"""The augmentation pipeline reproduces the reference, operation by operation, at given percentiles of its inputs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.augment.pipeline import PRESETS, AdaPipeline
from tests.support.golden import Golden, assert_output, files, load


class PercentileInputs:
    """All gates open, every number at `percentile` of its distribution, by the reference's definition."""

    def __init__(self, percentile: float, count: int) -> None:
        self.percentile = torch.full((count,), percentile)

    def gate(self, name: str, probability: float) -> Tensor:
        assert probability == 1
        return torch.ones_like(self.percentile, dtype=torch.bool)

    def uniform(self, name: str) -> Tensor:
        return torch.full_like(self.percentile, 0.5) if name == "rotate_after" else self.percentile

    def normal(self, name: str) -> Tensor:
        return torch.erfinv(2 * self.percentile - 1)  # without the sqrt(2) of a true quantile

    @property
    def image_noise(self) -> Tensor:
        raise AssertionError("additive noise is not in the file")


@pytest.fixture(params=files("ada"))
def golden(request: pytest.FixtureRequest) -> Golden:
    path: Path = request.param
    return load(path)


def test_every_operation(golden: Golden) -> None:
    names = [name for name in golden.tensors if not name.startswith("in.")]
    assert {name.split(".", 1)[0] for name in names} >= {*PRESETS["bgcfnc"], "bgc", "bgc_gray"} - {"noise"}
    for name in names:
        operation, percentile = name.split(".", 1)
        images = golden["in.gray" if operation.endswith("_gray") else "in.images"]
        pipeline = AdaPipeline(operation.removesuffix("_gray"))
        out = pipeline(images, 1.0, PercentileInputs(float(percentile), len(images)))
        assert_output(out, golden[name], name)
