from pathlib import Path

import pytest

from stylegen import features
from stylegen.__main__ import main
from stylegen.images import write_png
from stylegen.metrics.engine.degradation_table import sensitivity, to_markdown
from stylegen.metrics.engine.degradations import DEGRADATIONS
from tests.support.metric_images import Reals, Thumbnail, evaluation_of, portraits

IDS = ["fd_random_vgg16", "prdc_random_vgg16", "authenticity_random_vgg16"]


@pytest.mark.usefixtures("thumbnail")
def test_undamaged_reals_are_perfect_and_every_set_has_its_row() -> None:
    rows = sensitivity(evaluation_of(IDS, 30, Reals(portraits(30))))
    first = rows[0].values
    assert (rows[0].degradation, first["fd_random_vgg16"]) == ("none", pytest.approx(0, abs=1e-6))
    assert [first[f"prdc_random_vgg16_{name}"] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert first["authenticity_random_vgg16"] == 0  # they are copies
    expected = [d.name for d in DEGRADATIONS if not d.needs_classes for _ in d.severities]
    assert [row.degradation for row in rows[1:]] == expected
    copies = {row.severity: row.values for row in rows if row.degradation == "memorized"}
    assert {values["authenticity_random_vgg16"] for values in copies.values()} == {0}
    recalls = [values["prdc_random_vgg16_recall"] for values in copies.values()]
    assert recalls == sorted(recalls, reverse=True)
    table = to_markdown(rows)
    assert table[2].startswith("| degradation | severity | fd | precision | recall | density | coverage |")
    assert len(table) == 4 + len(rows) + 1


def test_the_command_writes_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Thumbnail())
    for i, image in enumerate(portraits(12, side=16)):
        write_png(tmp_path / "data" / f"{i:02d}.png", image)
    out = tmp_path / "table.md"
    command = ["sensitivity", f"data.path={tmp_path / 'data'}", "metrics=[fd_random_vgg16]"]
    assert main([*command, f"out={out}"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert "| salt and pepper | 20% of pixels |" in out.read_text()
    for wrong in ("metrics=[fid50k_full]", "metrics=[fud]", f"out={tmp_path}"):
        assert main([*command, wrong]) == 2
        assert capsys.readouterr().err.startswith("error: ")
