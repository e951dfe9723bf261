"""Keyed random numbers: known answers, moments, independence, and no dependence on the batch."""

import math

import pytest
import torch
from torch import Tensor

from stylegen import randomness


def words(*values: int) -> tuple[Tensor, ...]:
    return tuple(torch.tensor([v]) for v in values)


# Known-answer vectors of philox4x32-10, published by its authors: counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: tuple, key: tuple, expected: tuple) -> None:
    result = randomness.philox(words(*counter), key)
    assert tuple(int(w) for w in result) == expected


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


def test_neighbouring_indices_and_positions_are_uncorrelated() -> None:
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
