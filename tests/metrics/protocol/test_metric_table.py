from pathlib import Path

import pytest

from stylegen.metrics.protocol.comparison import CHOICES, Measured
from stylegen.metrics.protocol.metric_table import comparable, merged, read_rows, rows_at, rows_of, to_csv


def measured(name: str, kimg: float | None, fid: float, **choices: object) -> Measured:
    card = dict.fromkeys(CHOICES, 1) | {"metrics": {"fid": fid}, "better": {"fid": "lower"}} | choices
    return Measured(name, kimg, card)


OLD = rows_of([measured("a", 1, 30.0), measured("b", 2, 1 / 3), measured("c", 10, 12.0)])


def test_the_file_holds_every_digit() -> None:
    lines = to_csv(OLD).splitlines()
    assert lines[0] == "snapshot,kimg,fid,num_samples,choices"
    assert lines[2].startswith(f"b,2,{1 / 3!r},1,")
    assert read_rows(to_csv(OLD)) == OLD


def test_evaluating_a_part_again_keeps_the_rest() -> None:
    again = [measured("b", 2, 5.0)]
    rows = merged(OLD, rows_of(again))
    assert [(row["snapshot"], row["fid"]) for row in rows] == [("a", "30.0"), ("b", "5.0"), ("c", "12.0")]
    assert [(s.name, s.kimg, s.card["metrics"]) for s in comparable(rows, again[0])] == [
        *(("a", 1, {"fid": 30.0}), ("b", 2, {"fid": 5.0}), ("c", 10, {"fid": 12.0})),
    ]


def test_other_choices_are_other_rows() -> None:
    fewer = [measured("b", 2, 7.0, num_samples=16)]
    rows = merged(OLD, rows_of(fewer))
    assert [row["fid"] for row in rows if row["snapshot"] == "b"] == [repr(1 / 3), "7.0"]
    assert [s.card["metrics"]["fid"] for s in comparable(rows, fewer[0])] == [7.0]


def test_other_numbers_are_other_columns_of_the_row() -> None:
    rows = merged(OLD, rows_of([measured("b", 2, 0.0, metrics={"kid": 0.5})]))
    assert to_csv(rows).splitlines()[0] == "snapshot,kimg,fid,kid,num_samples,choices"
    assert [(row["fid"], row.get("kid")) for row in rows] == [("30.0", None), (repr(1 / 3), "0.5"), ("12.0", None)]
    assert merged(read_rows(to_csv(rows)), []) == read_rows(to_csv(rows))


def test_a_table_of_an_earlier_version_is_kept() -> None:
    old = read_rows("snapshot,kimg,fid\na,1,3.5\n")
    assert [row["fid"] for row in merged(old, OLD)] == ["3.5", "30.0", repr(1 / 3), "12.0"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "snapshot,kimg,fid\na,1\n", "snapshot,kimg,fid\na,1,x\n"])
def test_another_file_is_renamed(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "metrics.csv"
    assert rows_at(path) == []
    path.write_text(text)
    assert rows_at(path) == []
    assert "is not a table of metrics" in caplog.text
    assert (tmp_path / "metrics.csv.damaged").read_text() == text
    assert not path.exists()
