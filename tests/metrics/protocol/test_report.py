import xml.etree.ElementTree as ElementTree

import pytest

from stylegen.errors import UserError
from stylegen.metrics.protocol.report import CHOICES, Scored, best_of, check_comparable, table, to_svg


def scored(name: str, kimg: float | None, fid: float, recall: float, **choices: object) -> Scored:
    card = dict.fromkeys(CHOICES, 1) | choices
    card["metrics"] = {"fid": fid, "recall": recall, "kid_std": 0.1}
    card["better"] = {"fid": "lower", "recall": "higher", "kid_std": None}
    return Scored(name, kimg, card)


THREE = [scored("a", 1, 30.0, 0.1), scored("b", 2, 10.5, 0.2), scored("c", 4, 12.0, 0.3)]


def test_the_best_by_each_numbers_own_sense() -> None:
    assert best_of(THREE) == {"fid": "b", "recall": "c"}


def test_table() -> None:
    lines = table(THREE)
    assert lines[0].split() == ["kimg", "fid", "recall", "kid_std", "snapshot"]
    assert lines[2].split() == ["2", "10.5*", "0.2", "0.1", "b"]


@pytest.mark.parametrize("choice", ["num_samples", "dataset", "options", "extractors", "protocol"])
def test_what_cannot_be_compared_is_refused(choice: str) -> None:
    check_comparable(THREE)
    with pytest.raises(UserError, match=f"a and d: their scores differ in {choice}"):
        check_comparable([*THREE, scored("d", 5, 1.0, 1.0, **{choice: 2})])


@pytest.mark.parametrize("points", [THREE, THREE[:1], [scored("x", None, 0.0, 0.0), scored("y", None, 1e-9, 1.0)]])
def test_the_plot_is_an_svg_with_a_point_a_snapshot(points: list[Scored]) -> None:
    root = ElementTree.fromstring(to_svg(points))
    name = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{name}g")) == 2  # a spread is not plotted
    circles = root.findall(f".//{name}circle")
    assert len(circles) == 2 * len(points)
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= 640
        assert 0 <= float(circle.attrib["cy"]) <= 260
