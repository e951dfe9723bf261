"""Processes share the work, and the metric does not depend on their number."""

import json
from pathlib import Path

import pytest
import torch

from stylegen import distributed, features
from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.images import write_png
from stylegen.launching import launch
from stylegen.metrics.engine import evaluation
from stylegen.verbs import evaluate as verb
from tests.support import metrics_on_ranks as shared_work
from tests.support.tiny import tiny_generator


def flat(values: object, name: str = "") -> dict[str, float]:
    if not isinstance(values, dict):
        return {name: values}  # type: ignore[dict-item]
    return {k: v for key, value in values.items() for k, v in flat(value, f"{name}/{key}").items()}


def test_two_processes_measure_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of the metrics package, and of the command."""
    monkeypatch.setitem(
        features.EXTRACTORS, "random_vgg16", features.EXTRACTORS["random_vgg16"]
    )  # restored after the test
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = shared_work.measured(tmp_path / "alone")
    for i, image in enumerate(shared_work.reals().images):
        write_png(tmp_path / "reals" / f"{i:02d}.png", image)
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    arguments = ["evaluate", f"snapshot={tmp_path / 'a.safetensors'}", f"data.path={tmp_path / 'reals'}"]
    arguments += ["num_samples=21", "batch_size=4", "device=cpu", "evaluation.cache=false"]
    assert main([*arguments, f"out={tmp_path / 'one.json'}"]) == 0
    # Started like `devices=2`; both results come from the same processes, because starting takes longer than the rest.
    monkeypatch.setattr(verb, "launch", lambda work, *rest, **options: launch(shared_work.work, *rest, **options))
    capsys.readouterr()
    assert main([*arguments, f"out={tmp_path / 'two.json'}", "devices=2"]) == 0
    card = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert card == json.loads((tmp_path / "two.json").read_text())
    assert card["metrics"] == pytest.approx(json.loads((tmp_path / "one.json").read_text())["metrics"], rel=1e-6)

    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second  # every process has the card
    assert "features of some images are not finite" in first.pop("failure")
    one, two = flat(json.loads(json.dumps(alone))), flat(first)
    assert one.keys() == two.keys()
    assert "/classes/mean over classes/fd_random_vgg16" in one
    for key, value in one.items():
        # A path length divides the difference of two nearly equal images by 1e-8, so rounding in batches is visible.
        assert two[key] == pytest.approx(value, rel=2e-2 if "ppl" in key else 1e-6), key
    assert len(list((tmp_path / "cache2").iterdir())) == len(list((tmp_path / "alone").iterdir()))


def test_an_error_is_reported_once_before_processes_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "launch", lambda *arguments, **options: pytest.fail("started"))
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    write_png(tmp_path / "reals" / "0.png", shared_work.reals().images[0])
    arguments = ["evaluate", f"snapshot={tmp_path / 'a.safetensors'}", f"data.path={tmp_path / 'reals'}", "devices=2"]
    assert main([*arguments, "num_samples=1"]) == 2
    assert "needs at least 2" in capsys.readouterr().err


def test_alone_everything_is_handed_back() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    assert distributed.world_size() == 1
    assert distributed.share(3) == [0, 1, 2]
    assert distributed.gather_rows(rows, 3) is rows


def test_a_stream_cannot_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(TypeError, match="by index"):
        evaluation._numbered([])
