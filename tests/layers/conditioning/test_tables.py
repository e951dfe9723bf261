"""Class tables: rows, mixtures of rows, errors."""

import pytest
import torch

from stylegen.errors import UserError
from stylegen.layers.conditioning import CONDITIONINGS
from tests.support.conditioning_layers import make

TABLES = [name for name, family in CONDITIONINGS.items() if family.kind == "index"]


@pytest.mark.parametrize("name", TABLES)
def test_an_index_is_the_mixture_of_one_row(name: str) -> None:
    layer, index = make(name), torch.tensor([4, 0, 2])
    x = torch.randn(3, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(layer(x, index), layer(x, torch.eye(5, dtype=torch.float64)[index]))
    row = layer.table.weight[4]
    y = layer.normalize(x)[0]
    torch.testing.assert_close(layer(x, index)[0], y * (1 + row[:3, None, None]) + row[3:, None, None])


@pytest.mark.parametrize("name", TABLES)
def test_mixtures_are_linear_in_scale_and_shift(name: str) -> None:
    layer = make(name)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    weights = torch.tensor([[0.2, 0.0, 0.5, 0.0, 0.3]], dtype=torch.float64)
    mixed, rows = layer.affine_of(x, weights), layer.affine_of(x, torch.arange(5))
    for mine, each in zip(mixed, rows, strict=True):
        torch.testing.assert_close(mine[0], 0.2 * each[0] + 0.5 * each[2] + 0.3 * each[4])
    if name == "cin":  # convex weights: the output itself is the same mixture
        outputs = layer(x.expand(5, -1, -1, -1), torch.arange(5))
        torch.testing.assert_close(layer(x, weights)[0], 0.2 * outputs[0] + 0.5 * outputs[2] + 0.3 * outputs[4])


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_outside_the_table_is_refused(index: int) -> None:
    with pytest.raises(UserError, match=rf"style index {index}: the table holds the styles 0 to 4.*class="):
        make("cin")(torch.zeros(2, 3, 4, 4, dtype=torch.float64), torch.tensor([0, index]))


def test_a_table_without_styles_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.use_labels=true"):
        CONDITIONINGS["cin"](3, 0)
