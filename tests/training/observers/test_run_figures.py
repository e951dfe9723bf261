import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.images import CAPTION_PX, write_png
from stylegen.training.observers import run_figures
from stylegen.training.observers.run_figures import (
    MAX_FRAMES,
    RunFigures,
    animate_grids,
    curve,
    evenly_spaced,
    plot_records,
    usable_records,
)
from stylegen.training.run_log import RunLog


def records(count: int = 5) -> list[dict[str, float | None]]:
    values = {
        "loss/G": 1.0,
        "loss/D": 2.0,
        "score/real": 0.5,
        "score/fake": -0.5,
        "reg/r1": 0.1,
        "time/sec_per_kimg": 9,
    }
    return [
        {"kimg": float(k), **values, **({"metric/fid": 100.0 / (k + 1), "metric/x": None} if k % 2 else {})}
        for k in range(count)
    ]


def write_grids(folder: RunFolder, sizes: list[tuple[int, int]]) -> list[Path]:
    for k, (width, height) in enumerate(sizes):
        write_png(folder.sample(1000 * k), torch.full((3, height, width), 40 * k, dtype=torch.uint8))
    return folder.samples()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_each_metric_has_a_panel(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    panels: dict[str, dict] = {}
    plot = run_figures._plot_panel
    monkeypatch.setattr(
        run_figures,
        "_plot_panel",
        lambda panel, title, found: (panels.update({title: found}), plot(panel, title, found)),
    )
    plot_records(records(), folder.metrics_plot)
    assert list(panels) == ["fid", "losses", "scores of D", "reg/r1"]  # metric/x has no finite value
    assert panels["fid"] == {"metric/fid": ([1.0, 3.0], [50.0, 25.0])}
    assert list(panels["losses"]) == ["loss/G", "loss/D"]
    with Image.open(folder.metrics_plot) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 300


def test_equal_records_give_equal_bytes(folder: RunFolder) -> None:
    found = []
    for _ in range(2):
        plot_records(records(3), folder.metrics_plot)
        found.append(folder.metrics_plot.read_bytes())
    assert found[0] == found[1]


def test_values_that_are_not_finite_are_left_out() -> None:
    values = [1.0, None, float("nan"), float("inf"), "1", 2.0]
    assert curve([{"kimg": k, "a": value} for k, value in enumerate(values)], "a") == ([0, 5], [1.0, 2.0])


def test_lines_that_are_no_records_are_skipped(folder: RunFolder) -> None:
    folder.metrics.write_text('{"kimg": 1, "a": 2}\n[3]\n{"kimg": "x"}\n{"ki')
    assert usable_records(folder.metrics) == [{"kimg": 1, "a": 2}]
    assert usable_records(folder.root / "none.jsonl") == []
    plot_records([], folder.metrics_plot)
    assert not folder.metrics_plot.exists()


def test_the_animation_has_every_grid_and_holds_the_last(folder: RunFolder) -> None:
    grids = write_grids(folder, [(40, 30)] * 4)
    (folder.root / "samples" / "reals.png").write_bytes(grids[0].read_bytes())
    RunFigures(folder, RunLog(None)).animate()
    with Image.open(folder.animation) as found:
        assert (found.n_frames, found.size) == (4, (40, 30 + CAPTION_PX))
        durations = []
        for k in range(4):
            found.seek(k)
            frame = found.convert("RGB")
            assert abs(frame.getpixel((20, 10))[0] - 40 * k) < 4
            assert frame.crop((0, 32, 40, 50)).convert("L").getextrema()[0] < 100  # kimg below the grid
            durations.append(found.info["duration"])
    assert durations[-1] > 3 * durations[0] == 3 * durations[2]


def test_grids_of_a_growing_network_have_one_size(folder: RunFolder) -> None:
    animate_grids(write_grids(folder, [(40, 54), (80, 104), (160, 184)]), folder.animation)
    with Image.open(folder.animation) as found:
        assert (found.n_frames, found.size) == (3, (160, 184 + CAPTION_PX))


def test_long_runs_have_bounded_animations(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_figures, "MAX_PIXELS", 4 * 30**2)
    animate_grids(write_grids(folder, [(60, 60)] * 4), folder.animation)
    with Image.open(folder.animation) as found:
        assert found.size == (30, 30 + CAPTION_PX)
    chosen = evenly_spaced([Path(str(i)) for i in range(1000)], MAX_FRAMES)
    assert len(set(chosen)) == MAX_FRAMES
    assert (chosen[0].name, chosen[-1].name) == ("0", "999")


@pytest.mark.parametrize("kept", [0, 20, 60])
def test_a_figure_that_fails_ends_no_training(folder: RunFolder, capsys: pytest.CaptureFixture[str], kept: int) -> None:
    grids = write_grids(folder, [(40, 30)] * 2)
    grids[0].write_bytes(grids[0].read_bytes()[:kept] or b"not an image")
    RunFigures(folder, RunLog(folder.log)).animate()
    assert "note: samples.webp was not written (" in capsys.readouterr().err
    assert not folder.animation.exists()
    assert not list(folder.root.rglob("*.partial"))


def test_figures_are_off_on_request(folder: RunFolder) -> None:
    write_grids(folder, [(40, 30)] * 2)
    folder.metrics.write_text(json.dumps(records()[0]) + "\n")
    figures = RunFigures(folder, RunLog(None), enabled=False)
    figures.plot()
    figures.animate()
    assert not folder.metrics_plot.exists()
    assert not folder.animation.exists()
