"""Records of runs that are damaged, long, or being written."""

import json
from pathlib import Path

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.viewer.run_history import MAX_POINTS, grid_path, run_history


def test_damaged_and_long_records(tmp_path: Path) -> None:
    records = [{"kimg": k, "loss/G": k / 7, "memory/peak": 1, "note": "x"} for k in range(3000)]
    records += [
        {"kimg": 3000, "loss/G": float("nan")},
        {"kimg": "x", "loss/G": 1},
        {"loss/G": 2},
        {"kimg": 3001, "loss/G": True},
    ]
    lines = [json.dumps(record) for record in records]
    (tmp_path / "metrics.jsonl").write_bytes(
        "\n".join([*lines, "[1]", "{" * 9000, '{"kimg": 3002, "lo']).encode() + b"\xff"
    )
    curves = run_history(RunFolder(tmp_path))["curves"]
    assert list(curves) == ["loss/G"]
    assert len(curves["loss/G"]) == MAX_POINTS
    assert curves["loss/G"][0] == (0, 0.0)
    assert curves["loss/G"][-1] == (2999, 2999 / 7)


def test_grids_are_found_by_their_names_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run_history(run) == {"curves": {}, "grids": []}
    run.sample(1000).parent.mkdir()
    for path in (run.sample(1000), run.sample(2000), run.reals):
        path.write_bytes(b"")
    assert run_history(run)["grids"] == ["000001.000.png", "000002.000.png"]
    assert grid_path(run, "000002.000.png") == run.sample(2000)
    for name in ("", "..", "reals.png", "../config.yaml", str(run.sample(1000))):
        assert grid_path(run, name) is None
