import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.card_file import add_card, choices_digest, read_cards


def card(value: float, **choices: Any) -> dict[str, Any]:
    made = MetricCard(
        metrics={"fid": value},
        better={"fid": "lower"},
        references={},
        num_samples=50,
        num_reals=60,
        dataset={"name": "reals"},
        extractors={},
        options={},
        calibration={},
        sampling={"psi": 1.0},
        seed=0,
    )
    return made.to_dict() | choices


def test_one_entry_for_each_set_of_choices(tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "a.metrics.json"
    assert read_cards(path) == []
    add_card(path, card(1))
    assert json.loads(path.read_text()) == card(1)  # a file of one card is that card
    add_card(path, card(2, num_samples=60))
    add_card(path, card(3, sampling={"psi": 0.7}))
    add_card(path, card(4, device="cuda"))  # the same choices as the first
    assert [c["metrics"]["fid"] for c in read_cards(path)] == [2, 3, 4]
    assert json.loads(path.read_text())["metrics"] == {"fid": 4}  # the newest
    assert choices_digest(card(1)) == choices_digest(card(9)) != choices_digest(card(1, metrics={"kid": 1}))
    assert [p.name for p in path.parent.iterdir()] == ["a.metrics.json"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(card(1))[:30],
        "",
        "[]",
        "7",
        '{"metrics": 3}',
        '{"a": 1}',
        json.dumps({**card(1), "earlier": [1]}),
        json.dumps({**card(1), "metrics": {"fid": math.nan}}),
        json.dumps({**card(1), "references": {"fid": {"real_vs_real": 1}}}).replace(": 1}}", ": 1e999}}"),
        json.dumps({**card(1), "better": {}}),
        json.dumps({key: value for key, value in card(1).items() if key != "better"}),
        json.dumps({**card(1), "earlier": {"a": {"metrics": {"fid": "x"}}}}),
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_file_is_reported_and_renamed(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.metrics.json"
    path.write_text(content, encoding="latin-1")
    assert read_cards(path) == []
    assert "a.metrics.json is damaged, or not a metric card" in caplog.text
    for renamed in ("a.metrics.json.damaged", "a.metrics.json.damaged-2"):
        path.write_text(content, encoding="latin-1")
        add_card(path, card(1))
        assert (tmp_path / renamed).read_text(encoding="latin-1") == content
        assert f"is renamed to {renamed}" in caplog.text
        assert read_cards(path) == [card(1)]


def test_a_cache_folder_that_cannot_be_written_costs_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "file"))
    add_card(tmp_path / "a.metrics.json", card(1))
    assert read_cards(tmp_path / "a.metrics.json") == [card(1)]


def test_two_writers_lose_no_card(tmp_path: Path) -> None:
    path = tmp_path / "a.metrics.json"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: add_card(path, card(1, num_samples=n)), range(2, 8)))
    assert sorted(c["num_samples"] for c in read_cards(path)) == list(range(2, 8))
