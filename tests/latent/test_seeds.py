import numpy as np
import pytest
import torch

from stylegen.errors import UserError
from stylegen.latent.seeds import latents, parse_seeds, random_labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", [0]),
        ("0-3", [0, 1, 2, 3]),
        ("0-2,40", [0, 1, 2, 40]),
        ("5,3, 7-7", [5, 3, 7]),
        ("9223372036854775807", [2**63 - 1]),
    ],
)
def test_seeds(text: str, expected: list[int]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1,,2", "0-", "1.5", "9223372036854775808", "0-99999999999"])
def test_impossible_seeds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="seeds="):
        parse_seeds(text)


def test_a_latent_is_a_function_of_its_seed() -> None:
    assert torch.equal(latents([3, 9], 16)[1], latents([9], 16)[0])
    assert not torch.equal(latents([3], 16), latents([4], 16))


def test_numpy_latents_equal_published_figures() -> None:
    z = latents([85, 3], 512, source="numpy")
    assert torch.equal(z[:1], torch.from_numpy(np.random.RandomState(85).randn(1, 512)).float())
    assert latents([], 8, source="numpy").shape == (0, 8)
    with pytest.raises(UserError, match="seed_source=numpy"):
        latents([2**32], 8, source="numpy")


def test_labels_are_rows_of_the_table() -> None:
    labels = random_labels(list(range(200)), torch.eye(4)[[0, 1, 1, 1]])
    assert torch.equal(labels.sum(1), torch.ones(200))
    assert labels.sum(0)[1] > 2 * labels.sum(0)[0] > 40
    assert torch.equal(labels[7], random_labels([7], torch.eye(4)[[0, 1, 1, 1]])[0])
    assert random_labels([1, 2], torch.zeros(3, 0)).shape == (2, 0)
