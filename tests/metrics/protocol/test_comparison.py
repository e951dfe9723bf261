import xml.etree.ElementTree as ElementTree

import pytest

from stylegen.errors import UserError
from stylegen.metrics.protocol.comparison import CHOICES, Measured, best_of, check_comparable, table, to_svg


def measured(name: str, kimg: float | None, fid: float, recall: float, **choices: object) -> Measured:
    card = dict.fromkeys(CHOICES, 1) | choices
    card["metrics"] = {"fid": fid, "recall": recall, "kid_std": 0.1}
    card["better"] = {"fid": "lower", "recall": "higher", "kid_std": None}
    return Measured(name, kimg, card)


THREE = [measured("a", 1, 30.0, 0.1), measured("b", 2, 10.5, 0.2), measured("c", 4, 12.0, 0.3)]


def test_the_best_by_each_numbers_better_direction() -> None:
    assert best_of(THREE) == {"fid": "b", "recall": "c"}


def test_table() -> None:
    lines = table(THREE)
    assert lines[0].split() == ["kimg", "fid", "recall", "kid_std", "snapshot"]
    assert lines[2].split() == ["2", "10.5*", "0.2", "0.1", "b"]


@pytest.mark.parametrize("choice", ["num_samples", "dataset", "options", "extractors", "protocol"])
def test_what_cannot_be_compared_is_refused(choice: str) -> None:
    check_comparable(THREE)
    with pytest.raises(UserError, match=f"a and d: their metrics differ in {choice}"):
        check_comparable([*THREE, measured("d", 5, 1.0, 1.0, **{choice: 2})])


@pytest.mark.parametrize("points", [THREE, THREE[:1], [measured("x", None, 0.0, 0.0), measured("y", None, 1e-9, 1.0)]])
def test_the_figure_has_a_point_for_each_snapshot(points: list[Measured]) -> None:
    root = ElementTree.fromstring(to_svg(points))
    name = "{http://www.w3.org/2000/svg}"
    curves = [group for group in root.iter(f"{name}g") if group.attrib.get("id") in points[0].card["metrics"]]
    assert [curve.attrib["id"] for curve in curves] == ["fid", "recall"]  # a deviation is not plotted
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    for curve in curves:
        circles = list(curve.iter(f"{name}use"))
        assert len(circles) == len(points)
        for circle in circles:
            assert 0 <= float(circle.attrib["x"]) <= width
            assert 0 <= float(circle.attrib["y"]) <= height
