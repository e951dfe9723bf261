from pathlib import Path

import pytest

from stylegen.checkpoints.snapshot import Snapshot
from stylegen.errors import UserError
from stylegen.latent.sample_labels import GivenLabels, RandomLabels, parse_labels
from tests.support.tiny import tiny_generator

NAMES = ["cat", "dog", "bird, blue"]


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(tiny_generator(num_classes=3), {"class_names": NAMES}, Path("a.safetensors"))


@pytest.mark.parametrize(
    ("text", "rows", "shown"),
    [
        ("dog", [[0, 1, 0]], "class 1"),
        ("2", [[0, 0, 1]], "class 2"),
        ("bird, blue", [[0, 0, 1]], "class 2"),
        ("2,cat", [[0, 0, 1], [1, 0, 0]], "classes 2, 0"),
        ("cat:0.5,2:0.25", [[0.5, 0, 0.25]], "class 0:0.5,2:0.25"),
        ("dog:1", [[0, 1, 0]], "class 1"),
    ],
)
def test_one_class_several_and_mixtures(text: str, rows: list, shown: str, snapshot: Snapshot) -> None:
    labels = parse_labels(text, snapshot)
    assert isinstance(labels, GivenLabels)
    assert labels.table.tolist() == rows
    assert str(labels) == shown


def test_several_classes_take_turns_by_seed(snapshot: Snapshot) -> None:
    labels = parse_labels("2,0", snapshot)
    assert labels([0, 1, 7]).argmax(dim=1).tolist() == [2, 0, 0]
    assert labels([7]).tolist() == labels([0, 1, 7])[2:].tolist()


def test_without_a_setting_each_seed_has_a_random_class(snapshot: Snapshot) -> None:
    labels = parse_labels(None, snapshot)
    assert isinstance(labels, RandomLabels)
    assert len(labels(list(range(64))).argmax(dim=1).unique()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "this network has 3 classes"),
        ("-1", "this network has 3 classes"),
        ("cow", "no such class"),
        ("0:x,1:1", "must have a weight"),
        ("0:nan", "must have a weight"),
        ("0:0.5,1", "has a weight|no such class"),
        ("", "no such class"),
    ],
)
def test_impossible_classes_are_refused(text: str, message: str, snapshot: Snapshot) -> None:
    with pytest.raises(UserError, match=message):
        parse_labels(text, snapshot)


def test_a_network_without_classes_refuses_one() -> None:
    with pytest.raises(UserError, match="this network has 0 classes"):
        parse_labels("0", Snapshot(tiny_generator(), {}, Path("a.safetensors")))
