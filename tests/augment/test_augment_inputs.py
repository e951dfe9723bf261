"""The numbers of an augmentation are a function of (seed, purpose, image index)."""

import math

import pytest
import torch

from stylegen.augment.augment_inputs import GATES, NORMALS, UNIFORMS, AugmentInputs
from tests.support.augment_inputs import keyed, keyed_inputs


def test_a_part_of_the_batch_gets_the_same_numbers() -> None:
    whole, part = keyed(8, noise=(3, 4, 4)), keyed_inputs(0, "D_main/real", torch.arange(8)[1::3], (3, 4, 4))
    assert torch.equal(part.uniform("hue"), whole.uniform("hue")[1::3])
    assert torch.equal(part.normal("scale"), whole.normal("scale")[1::3])
    assert torch.equal(part.gate("xflip", 0.5), whole.gate("xflip", 0.5)[1::3])
    assert torch.equal(part.image_noise, whole.image_noise[1::3])


def test_purposes_and_names_are_independent() -> None:
    assert not torch.equal(keyed().uniform("hue"), keyed(purpose="D_main/fake").uniform("hue"))
    columns = [keyed(64).uniform(name) for name in UNIFORMS] + [keyed(64).normal(name) for name in NORMALS]
    assert len({tuple(c.tolist()) for c in columns}) == len(columns)


@pytest.fixture(scope="module")
def many() -> AugmentInputs:
    return keyed(20_000, noise=(1, 1, 1))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_gates_open_with_probability_p(name: str, p: float, many: AugmentInputs) -> None:
    share = many.gate(name, p).double().mean()
    assert abs(share - p) <= 4 * math.sqrt(p * (1 - p) / 20_000)
