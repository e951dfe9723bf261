"""Statistics of batch normalization in training, evaluation, and two processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylegen.layers.conditioning import CONDITIONINGS, batch_statistics, standing_statistics
from stylegen.layers.conditioning.batch_norm import BatchNorm
from tests.support.batch_norm_ranks import BATCH, results
from tests.support.conditioning_layers import BATCH_STATISTICS, condition_for, make

ROOT = Path(__file__).parents[3]


def batches(count: int, size: int = 4, channels: int = 3) -> list[Tensor]:
    torch.manual_seed(1)
    offset = torch.arange(count, dtype=torch.float64)
    return [torch.randn(size, channels, 3, 2, dtype=torch.float64) * (1 + k) + k for k in offset]


def pooled(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each channel over samples and pixels."""
    values = torch.cat([part.transpose(0, 1).flatten(1) for part in parts], dim=1)
    return values.mean(dim=1), values.var(dim=1)


def test_equals_torch_in_training_and_evaluation() -> None:
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm2d(3, affine=False).double()
    for x in batches(3):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    (x,) = batches(1)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", BATCH_STATISTICS)
def test_an_evaluation_uses_the_running_statistics(name: str) -> None:
    layer = make(name)
    for x in batches(3):
        layer(x, condition_for(name, len(x)))
    (norm,) = batch_statistics(layer)
    x, v = batches(1)[0], condition_for(name, 4)
    mean, var = norm.running_mean[:, None, None].clone(), norm.running_var[:, None, None].clone()
    layer.eval()
    affine = layer.affine_of(x, v)
    scale, shift = (a if a.ndim == 1 else a[..., None, None] for a in affine)
    scale, shift = (a[:, None, None] if a.ndim == 1 else a for a in (scale, shift))
    torch.testing.assert_close(layer(x, v), (x - mean) / (var + 1e-5).sqrt() * (1 + scale) + shift)
    torch.testing.assert_close(layer(x, v)[1:2], layer(x[1:2], v[1:2]))
    assert torch.equal(norm.running_mean[:, None, None], mean)


def test_standing_statistics_pool_all_batches() -> None:
    norm = BatchNorm(3).double().eval()
    parts = [*batches(4), *batches(1, size=7)]
    with standing_statistics(norm):
        for x in parts:
            torch.testing.assert_close(
                norm(x), CONDITIONINGS["batch_norm"](3).double()(x)
            )  # each batch by its own statistics
    mean, var = pooled(parts)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, var)
    x = parts[0]
    expected = (x - mean[:, None, None]) / (var + 1e-5).sqrt()[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_standing_statistics_without_batches_change_nothing() -> None:
    norm = BatchNorm(3)
    norm.running_mean.fill_(5.0)
    with standing_statistics(norm):
        pass
    assert torch.equal(norm.running_mean, torch.full((3,), 5.0))
    with standing_statistics(nn.Linear(2, 2)):
        pass


def test_batch_statistics_in_evaluation_do_not_update_the_running_ones() -> None:
    norm = BatchNorm(3, evaluation="batch").double().eval()
    (x,) = batches(1)
    torch.testing.assert_close(norm(x), CONDITIONINGS["batch_norm"](3).double()(x))
    assert not norm.running_mean.any()


def test_two_processes_equal_one_batch(tmp_path: Path) -> None:
    """With half a batch each, outputs, statistics, first and second gradients equal the whole batch's."""
    command = [sys.executable, "-m", "tests.support.batch_norm_ranks", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ranks = [subprocess.Popen([*command, str(rank)], cwd=ROOT, env=environment) for rank in range(2)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    whole = results(slice(None))
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert whole.keys() == halves[0].keys()
    for name, expected in whole.items():
        first, second = (half[name] for half in halves)
        if name.endswith(("/y", "/dx", "/ddx", "/dv", "/ddv")):  # each process has its own samples
            assert len(expected) == BATCH
            torch.testing.assert_close(torch.stack([first, second], dim=1).flatten(0, 1), expected, msg=name)
        elif "/parameter" in name:
            torch.testing.assert_close(first + second, expected, msg=name)
        else:
            torch.testing.assert_close(first, expected, msg=name)
            assert torch.equal(first, second), name
