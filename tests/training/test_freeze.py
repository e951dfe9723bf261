"""Which parameters Freeze-D freezes; tests/integration/test_transfer.py checks that they do not change."""

import pytest

from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS
from stylegen.training.freeze import freezable_layers, frozen_parameters, learning_parameters

SMALL = {"channel_base": 128, "channel_max": 8}


@pytest.mark.parametrize(
    ("architecture", "first", "others"),
    [
        ("resnet", ["from_rgb", "conv0", "conv1", "skip"], ["conv0", "conv1", "skip"]),
        ("skip", ["from_rgb", "conv0", "conv1"], ["from_rgb", "conv0", "conv1"]),
        ("orig", ["from_rgb", "conv0", "conv1"], ["conv0", "conv1"]),
    ],
)
def test_layers_are_counted_from_the_image(architecture: str, first: list[str], others: list[str]) -> None:
    network = DISCRIMINATORS["stylegan2"](resolution=32, architecture=architecture, **SMALL)
    found = [names[0].rpartition(".")[0] for names in freezable_layers(network)]
    expected = [f"blocks.{r}.{layer}" for r, layers in ((32, first), (16, others), (8, others)) for layer in layers]
    assert found == expected


def test_at_1024_px_there_are_25_layers() -> None:
    import torch

    with torch.device("meta"):
        network = DISCRIMINATORS["stylegan2"](resolution=1024)
    assert len(freezable_layers(network)) == 4 + 7 * 3
    tenth = freezable_layers(network)[9]
    assert {name.rpartition(".")[0] for name in tenth} == {"blocks.256.skip"}


@pytest.mark.parametrize("name", sorted(DISCRIMINATORS))
def test_everything_in_the_blocks_can_be_frozen_and_nothing_else(name: str) -> None:
    network = DISCRIMINATORS[name](resolution=16, num_classes=2, **SMALL)
    frozen = frozen_parameters(network, len(freezable_layers(network)))
    assert frozen == {n for n, _ in network.named_parameters() if n.startswith("blocks.")}
    rest = [p for n, p in network.named_parameters() if not n.startswith("blocks.")]
    assert [id(p) for p in learning_parameters(network, frozen)] == [id(p) for p in rest]


def test_none_are_frozen_by_default() -> None:
    network = DISCRIMINATORS["stylegan2"](resolution=16, **SMALL)
    assert frozen_parameters(network, 0) == frozenset()
    assert len(learning_parameters(network)) == len(list(network.parameters()))


@pytest.mark.parametrize("count", [-1, 8])
def test_numbers_that_there_are_not(count: int) -> None:
    network = DISCRIMINATORS["stylegan2"](resolution=16, **SMALL)
    with pytest.raises(UserError, match="7 freezable layers"):
        frozen_parameters(network, count)
