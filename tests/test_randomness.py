"""Keyed random numbers: known answers, moments, independence, and no dependence on the batch."""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from stylegen import randomness
from stylegen.randomness import philox, philox_numpy
from tests.support.philox_cases import INDICES, KNOWN_ANSWERS, REQUESTS


def words(*values: int) -> tuple[Tensor, ...]:
    return tuple(torch.tensor([v]) for v in values)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: tuple, key: tuple, expected: tuple) -> None:
    result = philox.philox(words(*counter), key)
    assert tuple(int(w) for w in result) == expected
    arrays = [np.array([word], np.uint64) for word in (*counter, *key)]
    assert tuple(philox_numpy.philox_blocks(arrays[:4], arrays[4:])[0].tolist()) == expected


@pytest.mark.parametrize("blocks", [1, 50, 2**14])
@pytest.mark.parametrize("indices", [INDICES, INDICES[::2], INDICES[:0]])
def test_the_fast_version_gives_the_numbers_of_the_tensor_operations(
    blocks: int, indices: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, for every division into passes."""
    monkeypatch.setattr(philox_numpy, "_BLOCKS", blocks)
    found = randomness.generate(7, indices, REQUESTS)
    assert list(found) == list(REQUESTS)
    for purpose, request in REQUESTS.items():
        expected = philox.generate_by_tensors(7, indices, {purpose: request})[purpose]
        assert found[purpose].shape == (len(indices), *request.shape)
        assert found[purpose].is_contiguous()
        assert found[purpose].dtype == expected.dtype
        assert torch.equal(found[purpose], expected)


def test_fake_tensors_give_shapes() -> None:
    with FakeTensorMode():
        found = randomness.generate(0, torch.arange(3), REQUESTS)
    for purpose, expected in randomness.generate(0, torch.arange(3), REQUESTS).items():
        assert (found[purpose].shape, found[purpose].dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize("mode", ["interpret", "compile"])
def test_the_kernel_gives_the_numbers_of_the_tensor_operations(mode: str, tmp_path: Path) -> None:
    """In Triton's interpreter, and compiled for GPUs that need not be present."""
    if importlib.util.find_spec("triton") is None:
        assert not randomness._kernel_works(torch.device("cuda", 0))
        return
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": str(int(mode == "interpret"))}
    command = [sys.executable, "-m", "tests.support.triton_kernel", mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_a_number_depends_on_its_index_alone() -> None:
    all_at_once = randomness.normal(7, "z", torch.arange(20), (5, 3))
    for index in (0, 7, 19):
        assert torch.equal(all_at_once[index], randomness.normal(7, "z", torch.tensor([index]), (5, 3))[0])


@pytest.mark.parametrize("other", [(8, "z"), (7, "noise")])
def test_seed_and_purpose_give_unrelated_numbers(other: tuple[int, str]) -> None:
    a = randomness.normal(7, "z", torch.arange(100), (100,)).flatten()
    b = randomness.normal(*other, torch.arange(100), (100,)).flatten()
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 4 / math.sqrt(len(a))


def test_indices_beyond_32_bits_differ() -> None:
    low, high = torch.tensor([5]), torch.tensor([5 + 2**32])
    assert not torch.equal(randomness.uniform(0, "x", low, (4,)), randomness.uniform(0, "x", high, (4,)))


def test_normal_moments() -> None:
    x = randomness.normal(0, "moments", torch.arange(1000), (1001,)).double()
    n = x.numel()
    assert abs(x.mean()) < 4 / math.sqrt(n)
    assert abs(x.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((x**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((x**4).mean() - 3) < 4 * math.sqrt(96 / n)


def test_uniform_moments_and_range() -> None:
    x = randomness.uniform(0, "moments", torch.arange(1000), (1000,)).double()
    assert x.min() >= 0
    assert x.max() < 1
    assert abs(x.mean() - 0.5) < 4 * math.sqrt(1 / 12 / x.numel())
    assert abs(x.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / x.numel())


def test_neighboring_indices_and_positions_are_uncorrelated() -> None:
    x = randomness.normal(0, "grid", torch.arange(2000), (50,))
    bound = 4 / math.sqrt(x[1:].numel())
    assert abs((x[1:] * x[:-1]).mean()) < bound
    assert abs((x[:, 1:] * x[:, :-1]).mean()) < bound


def test_integers_cover_their_range_evenly() -> None:
    x = randomness.integers(7, 0, "die", torch.arange(7000), (10,))
    counts = torch.bincount(x.flatten(), minlength=7).double()
    assert len(counts) == 7
    chi_square = ((counts - 10000) ** 2 / 10000).sum()
    assert chi_square < 22.5  # the 99.9 % quantile with 6 degrees of freedom


def test_permutations_are_permutations_and_differ_by_epoch() -> None:
    first, second = randomness.permutation(1000, 3, "order", 0), randomness.permutation(1000, 3, "order", 1)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert not torch.equal(first, second)
    assert torch.equal(first, randomness.permutation(1000, 3, "order", 0))


def test_construction_is_keyed_and_restores_torch() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with randomness.seeded_construction(5, "weights"):
        a = torch.randn(4)
    assert torch.equal(torch.rand(3), expected)
    with randomness.seeded_construction(5, "weights"):
        assert torch.equal(torch.randn(4), a)
    with randomness.seeded_construction(6, "weights"):
        assert not torch.equal(torch.randn(4), a)
