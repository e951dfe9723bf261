"""Parts of a dataset by class and by number."""

import pytest

from stylegen.data.dataset import ImageDataset
from stylegen.data.subset import choose
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder

LABELS = [0, 1, 2, 0, 1, 2, 0]
NAMES = ["cat", "dog", "owl"]


def test_classes_by_name_and_by_index():
    assert choose(LABELS, NAMES, ["dog", "2"], None, 0) == [1, 2, 4, 5]
    assert choose(LABELS, None, ["0"], None, 0) == [0, 3, 6]
    assert choose([(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)], ["a", "b"], ["b"], None, 0) == [0]
    assert choose(LABELS, NAMES, None, None, 0) == list(range(7))


def test_numbers_nest_and_depend_on_the_seed():
    labels = [None] * 50
    ten, twenty = (choose(labels, None, None, count, 3) for count in (10, 20))
    assert len(ten) == 10
    assert ten == sorted(ten)
    assert set(ten) < set(twenty)
    assert choose(labels, None, None, 10, 4) != ten
    assert choose(labels, None, None, 99, 3) == list(range(50))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((LABELS, NAMES, ["dgo"], None, 0), "Did you mean dog"),
        ((LABELS, None, ["dog"], None, 0), "Known: none"),
        ((LABELS, NAMES, ["7"], None, 0), "no picture belongs"),
        ((LABELS, NAMES, [], None, 0), "no picture belongs"),
        (([None, None], None, ["0"], None, 0), "without labels"),
        ((LABELS, NAMES, None, 0, 0), "max_images=0"),
    ],
)
def test_parts_that_cannot_be(arguments, words):
    with pytest.raises(UserError, match=words):
        choose(*arguments)


def test_datasets_keep_the_indices_of_classes(tmp_path):
    note = {"labels": [[f"{i}.png", label] for i, label in enumerate(LABELS)], "class_names": NAMES}
    path = write_folder(tmp_path / "data", {f"{i}.png": encode(i) for i in range(7)}, note)
    ds = ImageDataset(path, use_labels=True, classes=["owl"], max_images=1, subset_seed=2, mirror=True)
    assert (ds.num_images, len(ds), ds.spec.num_classes) == (1, 2, 3)
    assert ds.labels().dense().tolist() == [[0, 0, 1]]


def test_users_are_told_of_labels_that_are_not_used(tmp_path):
    note = {"labels": [["0.png", 0]]}
    path = write_folder(tmp_path / "data", {"0.png": encode(0)}, note)
    assert "data.use_labels=true" in ImageDataset(path).notices()[0]
    assert ImageDataset(path, use_labels=True).notices() == []
    (path / "dataset.json").unlink()
    assert ImageDataset(path).notices() == []
    with pytest.raises(UserError, match="a conditional model needs a label"):
        ImageDataset(path, use_labels=True)
