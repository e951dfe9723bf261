"""A growing StyleGAN1 from the command line: levels, resuming in a fade, several processes, errors."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.protocol.card import MetricCard
from stylegen.networks import StyleGenerator
from tests.support.runs import assert_equal, lines, refused, state
from tests.support.tiny import TINY_RUN

STYLEGAN1 = ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1"]
# The run reaches two of three batch sizes; the third is for 32 px.
SCHEDULE = ["growth.stable_kimg=0.096", "growth.fade_kimg=0.16", "growth.batch_sizes=[16,8,6]", "growth.rates=[1,1.5]"]
RUN = [*STYLEGAN1, *TINY_RUN, *SCHEDULE, "total_kimg=0.4", "logger.mode=disabled", "checkpoints=99"]
RUN += ["log_every_kimg=0.04", "checkpoint_every_kimg=0.04", "sample_every_kimg=0.08", "snapshot_every_kimg=0.08"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "grown"
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    return folder


def test_levels_batches_and_images(grown: Path) -> None:
    seen = {line["kimg"]: (line["growth/resolution"], line["growth/alpha"]) for line in lines(grown)}
    assert seen[0.08] == (8, 1.0)
    assert seen[0.16] == (16, 0.4)  # the current value, not a mean over the interval
    fading = [alpha for resolution, alpha in seen.values() if resolution == 16 and alpha < 1]
    assert fading == sorted(fading)
    assert len(fading) == 4
    assert seen[0.4] == (16, 1.0)
    steps = torch.load(grown / "checkpoints" / "last.ckpt", weights_only=True)["clock"]["steps"]
    assert steps == 96 // 16 + 1 + (400 - 112) // 8  # the step that begins at 96 images still has 16 images
    snapshots = sorted((grown / "snapshots").glob("*.safetensors"))
    assert [load_snapshot(p).generator.level.resolution for p in snapshots] == [8, 16, 16, 16, 16]
    assert load_snapshot(snapshots[1]).generator.level.alpha == (160 - 96) / 160


def test_optimizers_begin_anew_with_each_phase(grown: Path) -> None:
    """Adam's step counters count from the end of the fade."""
    checkpoint = torch.load(grown / "checkpoints" / "last.ckpt", weights_only=True)
    counts = {int(s["step"]) for s in checkpoint["optimizers"]["G"]["state"].values()}
    assert counts == {(400 - 256) // 8}


@pytest.mark.parametrize("kimg", ["000000.080", "000000.160", "000000.240"])
def test_it_resumes_bit_for_bit_in_any_phase(kimg: str, grown: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(grown, folder)
    for path in (folder / "checkpoints").glob("*.ckpt"):
        if path.stem > kimg:  # last.ckpt too
            path.unlink()
    (folder / "checkpoints" / "last.ckpt").hardlink_to(folder / "checkpoints" / f"{kimg}.ckpt")
    assert main(["train", *RUN, f"output_dir={folder}"]) == 0
    assert_equal(state(folder), state(grown))
    assert lines(folder) == lines(grown)
    for image in (grown / "samples").iterdir():
        assert (folder / "samples" / image.name).read_bytes() == image.read_bytes()


def test_a_pending_evaluation_belongs_to_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill during an evaluation, in a fade or at the end, it is repeated with the same networks."""
    calls: list[Any] = []
    killed_at = 0

    def measure(evaluation: Evaluation, generator: StyleGenerator, **options: Any) -> Any:
        calls.append(generator.level)
        if len(calls) == killed_at:
            raise SystemError("killed")
        value = Sampler(generator).images([0]).float().mean().item()
        keys = ("better", "references", "dataset", "extractors", "options", "calibration")
        empty: dict[str, Any] = {key: {} for key in keys}
        return MetricCard({"fid": value}, num_samples=1, num_reals=1, sampling=options["sampling"], seed=0, **empty)

    monkeypatch.setattr(Evaluation, "measure_generator", measure)
    evaluated = [a for a in RUN if a != "evaluation=none"]
    evaluated += ["growth.stable_kimg=0.048", "growth.fade_kimg=0.08", "total_kimg=0.2"]
    evaluated += ["evaluation=random_vgg16", "evaluation.every_kimg=0.12", "evaluation.max_share=1"]
    undisturbed = tmp_path / "undisturbed"
    assert main(["train", *evaluated, f"output_dir={undisturbed}"]) == 0
    for number in (1, 2):
        killed, killed_at = tmp_path / f"killed{number}", number
        calls.clear()
        with pytest.raises(SystemError):
            main(["train", *evaluated, f"output_dir={killed}"])
        assert main(["train", *evaluated, f"output_dir={killed}"]) == 0
        assert calls[number - 1] == calls[number]
        assert calls[0].alpha == (120 - 48) / 80
        assert lines(killed) == lines(undisturbed)
        assert_equal(state(killed), state(undisturbed))
        calls.clear()
        assert main(["train", *evaluated, f"output_dir={killed}"]) == 0
        assert not calls  # it is finished now


def test_samples_of_a_level(grown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = min((grown / "snapshots").glob("*.safetensors"))
    common = ["sample", f"snapshot={snapshot}", "seeds=0-1"]
    for mode in ("grid", "truncation", "mixing"):
        assert main([*common, f"mode={mode}", f"out={tmp_path / mode}.png", "layers=0"]) == 0
    assert main([*common, "mode=images", f"out={tmp_path}"]) == 0
    capsys.readouterr()
    message = refused([*common, "mode=mixing", f"out={tmp_path / 'no'}.png", "layers=4"], tmp_path, capsys)
    assert "this network has the style layers 0 to 3" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["total_kimg=0.2"], "total_kimg=0.2: growth takes 0.256 kimg to reach the data's 16 px"),
        (["growth.batch_sizes=[16,6]"], "growth.batch_sizes=6"),
        (["growth.batch_sizes=[16.5]"], "error: growth.batch_sizes=[16.5]: each value must be an integer "),
        (["growth.batch_sizes=[4096]"], "growth.batch_sizes=4096"),
        (["growth.start_resolution=32"], "growth.start_resolution=32"),
        (["generator=stylegan2"], "growth with generator=stylegan2"),
        (["precision=fp16"], "precision=fp16"),
    ],
)
def test_bad_settings(overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(["train", *RUN, f"output_dir={tmp_path / 'run'}", *overrides], tmp_path, capsys)


def test_a_changed_schedule_is_refused(grown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(grown, folder)
    command = ["train", *RUN, f"output_dir={folder}", "growth.fade_kimg=0.12", "total_kimg=0.5"]
    assert "growth.fade_kimg: 0.16 -> 0.12" in refused(command, tmp_path, capsys)


def test_the_schedule_is_in_the_record(grown: Path) -> None:
    first = json.loads((grown / "metrics.jsonl").read_text().splitlines()[0])
    assert {"growth/resolution", "growth/alpha"} <= first.keys()
