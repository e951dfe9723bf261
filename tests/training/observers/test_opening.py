"""The first lines of a training, and lines while steps are slow."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen.__main__ import main
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.compose import compose_config
from stylegen.runs.build import build_dataset, build_step
from stylegen.training import estimate
from stylegen.training.observers import progress_bar as progress
from stylegen.training.observers.opening import Opening
from stylegen.training.observers.progress_bar import ProgressBar
from stylegen.training.run_log import RunLog, duration
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "regularizers=r1", "logger.mode=disabled", "total_kimg=0.016"]
GROWING = ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1", "growth.stable_kimg=0.008"]
GROWING += ["growth.fade_kimg=0.008", "growth.batch_sizes=[8,8]", "growth.rates=[]", "total_kimg=0.032"]


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_training_reports_what_it_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert main(["train", *RUN, "data.max_images=null", f"output_dir={folder}"]) == 0
    error = capsys.readouterr().err
    log = (folder / "log.txt").read_text()
    assert log.startswith(error)
    first = error.index("/0.016 kimg  left")
    for line in (
        f"run        {folder}\n",
        "data       openmoji, 894 images and their mirror images of 16x16 px, 3 channels, no classes\n",
        "device     cpu, 1 process, 1 CPU thread, fp32\n",
        "length     0.016 kimg, 8 images per step\n",
        "evaluation none\n",
        "time       about ",
    ):
        assert 0 <= error.index(line) < first
    assert "next      python sample.py" in log  # printed with the result
    reals, samples = (read_png(folder / "samples" / f"{name}.png") for name in ("reals", "000000.000"))
    assert reals.shape == samples.shape
    assert reals.std() > 10
    assert main(["train", f"output_dir={folder}", "total_kimg=0.024"]) == 0
    assert f"run        {folder}, continued from 0.016 kimg\n" in capsys.readouterr().err


@pytest.mark.parametrize("growth", [[], GROWING])
def test_the_estimate_counts_passes_and_changes_nothing(growth: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config("train", [*RUN, *growth])
    step = build_step(config, build_dataset(config))
    before = {name: tensor.clone() for name, tensor in step.modules.state_dict().items()}
    level = step.G_ema.level
    passes = {8: {"G": 1.0, "D": 2.0, "augment": 0.5}, 16: {"G": 10.0, "D": 20.0, "augment": 5.0}}
    monkeypatch.setattr(estimate, "_timed_passes", lambda step, count: passes[step.G_ema.level.resolution])
    # 4 passes of G, 8 of D, 7 / 16 for R1 at every 16th step, 5 of the augmentation; growing: 5 of 16 moments at 8 px.
    at_16 = 4 * 10 + (8 + 7 / 16) * 20 + 5 * 5
    expected = (5 / 10 + 11) / 16 * at_16 * 32 if growth else at_16 * 16
    assert estimate.seconds_left(step, 32 if growth else 16, 8, 1) == pytest.approx(expected)
    assert step.G_ema.level == level
    assert all(torch.equal(tensor, before[name]) for name, tensor in step.modules.state_dict().items())


def test_the_estimate_counts_the_generator_s_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config("train", [*RUN, "d_steps_per_g_step=2", "loss=relativistic"])
    step = build_step(config, build_dataset(config))
    monkeypatch.setattr(estimate, "_timed_passes", lambda step, count: {"G": 10.0, "D": 20.0, "augment": 5.0})
    # In each step D's 1 G, 6 D and 7 / 16 for R1; in every second one G's 3 G, 2 D, and 1 D for its real images.
    expected = (1 + 3 / 2) * 10 + (6 + 7 / 16 + (2 + 1) / 2) * 20 + (2 + (3 + 1) / 2) * 5
    assert estimate.seconds_left(step, 16, 8, 1) == pytest.approx(expected * 16)


@pytest.mark.parametrize(("augment", "least"), [("none", 0.0), ("ada", 0.01), ("diffaugment", 0.01)])
def test_the_estimate_includes_augmentation(augment: str, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """ADA starts at p = 0, where it costs nothing, but does not stay there."""
    config = compose_config("train", [*RUN, f"augment={augment}"])
    step = build_step(config, build_dataset(config))
    clock, seen = itertools.count(), []
    monkeypatch.setattr(estimate, "_now", lambda device: next(clock))

    def pipeline(images: torch.Tensor, p: float, inputs: Any) -> torch.Tensor:
        seen.append(p)
        clock.__next__()
        return images

    if step.augment is not None:
        pipeline.uses_image_noise = False  # type: ignore[attr-defined]
        step.augment.pipeline = pipeline  # type: ignore[assignment]
    seconds = estimate.seconds_left(step, 8, 8, 1)
    assert all(p >= least for p in seen)
    # For each of 8 images a pass takes a second, and the augmentation one more than no augmentation.
    assert seconds == pytest.approx(8 * (4 + 8 + 7 / 16 + 5 * (1 + (augment != "none"))))


@pytest.mark.parametrize(("every", "seen", "due"), [(0, 0, 64), (10, 0, 10), (10, 10_000, 20), (10, 61_000, 64)])
def test_the_next_evaluation(every: float, seen: int, due: float) -> None:
    dataset: Any = None
    opening = Opening(RunFolder(Path()), dataset, RunLog(None), 64, 16, "fp32", ["fid", "kid"], every, 16, 4)
    assert opening._evaluation(seen) == f"fid, kid at {due} kimg"


def test_slow_steps_have_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_STEP", 0.01)
    bar, images_seen, clock = ProgressBar(64, RunLog(tmp_path / "log.txt")), 0, [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    bar.begin(0)
    bar._first_step.join()
    for seconds in (29, 61, 91, 120, 152):
        clock[0], images_seen = float(seconds), images_seen + 16
        bar.update(images_seen - 16, images_seen)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[0].endswith("the first step has taken 0.01 s so far")
    assert [line.split("/")[0].strip() for line in lines[1:]] == ["0.032", "0.080"]
    assert "left 1 d 9:" in lines[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (540, "9 min"), (12_000, "3 h 20 min"), (1_051_200, "12 d 4 h"), (2e8, "2,314 d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
