"""Rows of labels: one-hot for indices, vectors as they are."""

import pytest
import torch

from stylegen.data.label_table import LabelTable
from stylegen.errors import UserError


def test_indices_are_one_hot():
    table = LabelTable([2, 0], None, "x")
    assert table.num_classes == 3
    assert table.rows(torch.tensor([1, 0])).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert LabelTable([0], ["a", "b"], "x").rows(torch.tensor([0])).tolist() == [[1, 0]]


def test_vectors_stay():
    table = LabelTable([(1.0, 0.5), (0.0, -1.0)], None, "x")
    assert (table.num_classes, table.rows(torch.tensor([1])).tolist()) == (2, [[0, -1]])


@pytest.mark.parametrize(("labels", "names"), [([2], ["a"]), ([(1.0, 2.0)], ["a"]), ([(1.0,)], ["a", "b"])])
def test_names_fit(labels, names):
    with pytest.raises(UserError, match="class_names"):
        LabelTable(labels, names, "x")
