"""Rows of labels: one-hot for indices, vectors as they are."""

import pytest
import torch

from stylegen.data.label_table import LabelTable
from stylegen.data.prepare.metadata import parse_labels
from stylegen.errors import UserError
from stylegen.latent.seeds import random_labels
from stylegen.one_hot import OneHot, members
from stylegen.training.random_inputs import KeyedDraws


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


def test_a_table_of_many_classes_takes_no_room():
    """A table of rows would take 100,000 x 100,000 x 4 bytes = 37 GiB."""
    table = LabelTable([99_999, *range(99_999)], None, "x")
    assert table.table.shape == (100_000, 100_000)
    assert table.rows(torch.tensor([0, 7])).argmax(1).tolist() == [99_999, 6]
    assert members(table.table, 6).tolist() == [7]


def test_one_hot_is_the_table_of_its_rows():
    indices = torch.tensor([2, 0, 2])
    table = OneHot(indices, 4)
    assert torch.equal(table.dense(), torch.eye(4)[indices])
    assert torch.equal(OneHot.identity(3).dense(), torch.eye(3))
    for label in range(4):
        assert torch.equal(members(table, label), members(table.dense(), label))


def test_generated_labels_come_from_indices_too():
    rows = torch.eye(3)[[0, 0, 0, 1]]
    for table in (rows, OneHot(rows.argmax(1), 3)):
        assert torch.equal(random_labels([4, 5, 6, 7], table), random_labels([4, 5, 6, 7], rows))
        drawn = KeyedDraws(1, 4, table).labels("G_main", torch.arange(9))
        assert torch.equal(drawn, KeyedDraws(1, 4, rows).labels("G_main", torch.arange(9)))


def test_too_many_classes_are_refused():
    with pytest.raises(UserError, match="100001 class_names"):
        LabelTable([0], ["x"] * 100_001, "x")
    with pytest.raises(UserError, match="from 0 to 99999"):
        parse_labels({"labels": [["a.png", 999_999]]}, ["a.png"], "x")
