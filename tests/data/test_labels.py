"""Rows of labels, and the selection of images by class and number."""

import pytest
import torch

from stylegen.data.dataset import ImageDataset
from stylegen.data.labels import label_table, labeled_rows, select
from stylegen.data.metadata import parse_labels
from stylegen.errors import UserError
from stylegen.latent.seeds import random_labels
from stylegen.one_hot import OneHot, members
from stylegen.training.random_inputs import InputSpec, KeyedRandomInputs
from tests.support.datasets import encode, write_folder

LABELS = [0, 1, 2, 0, 1, 2, 0]
NAMES = ["cat", "dog", "owl"]


def test_indices_are_one_hot():
    table = label_table([2, 0], None, "x")
    assert table.shape[1] == 3
    assert table[torch.tensor([1, 0])].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert label_table([0], ["a", "b"], "x")[torch.tensor([0])].tolist() == [[1, 0]]


def test_vectors_stay():
    table = label_table([(1.0, 0.5), (0.0, -1.0)], None, "x")
    assert (table.shape[1], table[torch.tensor([1])].tolist()) == (2, [[0, -1]])


@pytest.mark.parametrize(("labels", "names"), [([2], ["a"]), ([(1.0, 2.0)], ["a"]), ([(1.0,)], ["a", "b"])])
def test_names_fit(labels, names):
    with pytest.raises(UserError, match="class_names"):
        label_table(labels, names, "x")


def test_a_table_of_many_classes_takes_no_room():
    """A dense table would take 100,000 x 100,000 x 4 bytes = 37 GiB."""
    table = label_table([99_999, *range(99_999)], None, "x")
    assert table.shape == (100_000, 100_000)
    assert table[torch.tensor([0, 7])].argmax(1).tolist() == [99_999, 6]
    assert members(table, 6).tolist() == [7]


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
        found, expected = (
            KeyedRandomInputs(1, 4, labels).generate("G_main", torch.arange(9), InputSpec(generated=9)).synthesis
            for labels in (table, rows)
        )
        assert torch.equal(found.labels, expected.labels)


def test_too_many_classes_are_refused():
    with pytest.raises(UserError, match="100001 class_names"):
        label_table([0], ["x"] * 100_001, "x")
    with pytest.raises(UserError, match="from 0 to 99999"):
        parse_labels({"labels": [["a.png", 999_999]]}, ["a.png"], "x")


def test_classes_by_name_and_by_index():
    assert select(LABELS, NAMES, ["dog", "2"], None, 0) == [1, 2, 4, 5]
    assert select(LABELS, None, ["0"], None, 0) == [0, 3, 6]
    assert select([(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)], ["a", "b"], ["b"], None, 0) == [0]
    assert select(LABELS, NAMES, None, None, 0) == list(range(7))


def test_numbers_nest_and_depend_on_the_seed():
    labels = [None] * 50
    ten, twenty = (select(labels, None, None, count, 3) for count in (10, 20))
    assert len(ten) == 10
    assert ten == sorted(ten)
    assert set(ten) < set(twenty)
    assert select(labels, None, None, 10, 4) != ten
    assert select(labels, None, None, 99, 3) == list(range(50))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((LABELS, NAMES, ["dgo"], None, 0), "Did you mean dog"),
        ((LABELS, None, ["dog"], None, 0), "Known: none"),
        ((LABELS, NAMES, ["7"], None, 0), "no image belongs"),
        ((LABELS, NAMES, [], None, 0), "no image belongs"),
        (([None, None], None, ["0"], None, 0), "without labels"),
        ((LABELS, NAMES, None, 0, 0), "max_images=0"),
    ],
)
def test_bad_selections(arguments, words):
    with pytest.raises(UserError, match=words):
        select(*arguments)


def test_datasets_keep_the_indices_of_classes(tmp_path):
    note = {"labels": [[f"{i}.png", label] for i, label in enumerate(LABELS)], "class_names": NAMES}
    path = write_folder(tmp_path / "data", {f"{i}.png": encode(i) for i in range(7)}, note)
    ds = ImageDataset(path, use_labels=True, classes=["owl"], max_images=1, subset_seed=2, mirror=True)
    assert (ds.num_images, len(ds), ds.spec.num_classes) == (1, 2, 3)
    assert ds.labels().dense().tolist() == [[0, 0, 1]]


def test_notices_mention_unused_labels(tmp_path):
    note = {"labels": [["0.png", 0]]}
    path = write_folder(tmp_path / "data", {"0.png": encode(0)}, note)
    assert "data.use_labels=true" in ImageDataset(path).notices()[0]
    assert ImageDataset(path, use_labels=True).notices() == []
    (path / "dataset.json").unlink()
    assert ImageDataset(path).notices() == []
    with pytest.raises(UserError, match="a conditional model needs a label"):
        ImageDataset(path, use_labels=True)


def test_a_balanced_choice_of_labeled_images():
    table = OneHot(torch.tensor([0] * 50 + [1] * 50 + [2] * 2), 4)
    for count, expected in ((6, [2, 2, 2]), (9, [4, 3, 2]), (102, [50, 50, 2])):
        rows = labeled_rows(table, count, seed=0)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert sorted(table.indices[rows].bincount().tolist(), reverse=True) == expected
    small, large = (set(labeled_rows(table, count, 0).tolist()) for count in (10, 20))
    assert small < large
    assert set(labeled_rows(table, 10, 1).tolist()) != small
    assert len(labeled_rows(torch.rand(20, 3), 7, 0)) == 7
    with pytest.raises(UserError, match=r"data\.labeled=103.*at most the number of images, 102"):
        labeled_rows(table, 103, 0)


def test_other_images_have_labels_of_zeros(tmp_path):
    note = {"labels": [[f"{i}.png", i % 2] for i in range(6)]}
    folder = write_folder(tmp_path / "data", {f"{i}.png": encode(i) for i in range(6)}, note)
    whole, part = (ImageDataset(folder, use_labels=True, mirror=True, labeled=n) for n in (None, 2))
    assert part.spec == whole.spec
    assert part.labeled.tolist() == labeled_rows(whole.labels(), 2, 0).tolist()
    images, rows = part.batch(range(12))
    expected = whole.batch(range(12))
    assert torch.equal(images, expected[0])
    kept = torch.isin(torch.arange(12) % 6, part.labeled)
    assert torch.equal(rows, expected[1] * kept[:, None])
    assert torch.equal(part.labels()[torch.arange(6)], whole.labels()[torch.arange(6)])
    with pytest.raises(UserError, match=r"data\.labeled=2 data\.use_labels=false"):
        ImageDataset(folder, labeled=2)
