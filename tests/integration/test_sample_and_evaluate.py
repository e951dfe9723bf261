"""`sample` and `evaluate` on a snapshot: files, bytes, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.images import write_png
from stylegen.video_file import read_audio
from tests.support.metric_images import portraits
from tests.support.sounds import clicks, read_video, write_wav
from tests.support.tiny import tiny_generator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    info = {"data": {"path": "openmoji", "resolution": 16}}
    save_snapshot(tmp_path / "run" / "snapshots" / "000001.000.safetensors", tiny_generator(), info)
    return tmp_path / "run"


def write_images(folder: Path, count: int) -> Path:
    for i, image in enumerate(portraits(count, side=16)):
        write_png(folder / f"{i:04d}.png", image)
    return folder


def test_images_are_the_same_bytes_again(run_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(["sample", f"snapshot={run_folder}", "seeds=0-2,40", f"out={tmp_path / name}"]) == 0
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["seed000000.png", "seed000001.png", "seed000002.png", "seed000040.png"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "cells"),
    [
        (["mode=grid", "seeds=0-8"], (3, 3)),
        (["mode=grid", "seeds=0-8", "columns=9"], (1, 9)),
        (["mode=truncation", "seeds=0-1"], (2, 7)),
        (["mode=mixing", "seeds=0-2", "mix_seeds=5,7", "layers=2-3"], (4, 3)),
        (["mode=interpolation", "seeds=0-2", "frames=4"], (2, 5)),
    ],
)
def test_figures(overrides: list[str], cells: tuple[int, int], run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    assert main(["sample", f"snapshot={run_folder}", f"out={out}", "scale=1", "captions=false", *overrides]) == 0
    with Image.open(out) as figure:
        assert figure.size == tuple(n * (16 + 2) - 2 for n in reversed(cells))


def test_mixing_all_layers_copies_the_column_and_none_keeps_the_row(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    arguments = ["sample", f"snapshot={run_folder}", f"out={out}", "scale=1", "mode=mixing", "seeds=0", "mix_seeds=1"]
    assert main([*arguments, "layers=0-5", "captions=false"]) == 0
    with Image.open(out) as figure:
        column, cell = figure.crop((18, 0, 34, 16)), figure.crop((18, 18, 34, 34))
    assert column.tobytes() == cell.tobytes()


def test_default_names_describe_the_samples(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sampled = run_folder / "sampled"
    for override in ("truncation_psi=0.7", "truncation_psi=1", "truncation_psi=0.7"):
        assert main(["sample", f"snapshot={run_folder}", "mode=grid", "seeds=0-3,9", override]) == 0
    assert {path.name for path in sampled.iterdir()} == {
        "000001.000-grid-psi0.7-seeds0-3,9.png",
        "000001.000-grid-psi1-seeds0-3,9.png",
    }
    assert f"{sampled / '000001.000-grid-psi0.7-seeds0-3,9.png'} (16x16 px, scale 4)" in capsys.readouterr().out
    assert main(["sample", f"snapshot={run_folder}", "seeds=3"]) == 0
    folder = sampled / "000001.000-images-psi0.7"
    assert capsys.readouterr().out == f"{folder / 'seed000003.png'} (16x16 px, scale 1; scale=4 enlarges them)\n"


def test_a_long_list_of_seeds_makes_a_short_name(run_folder: Path) -> None:
    seeds = ",".join(map(str, range(0, 40, 2)))
    assert main(["sample", f"snapshot={run_folder}", "mode=grid", f"seeds={seeds}"]) == 0
    (path,) = (run_folder / "sampled").iterdir()
    assert path.name.startswith("000001.000-grid-psi0.7-seeds0,2,4,6,8,10,12_")
    assert len(path.name) < 80


def test_what_differs_is_not_overwritten(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An explicit name is refused, a default one gets a number; a file with the same bytes may be replaced."""
    out = tmp_path / "figure.png"
    arguments = ["sample", f"snapshot={run_folder}", "mode=grid", "seeds=0-3"]
    assert main([*arguments, f"out={out}"]) == main([*arguments, f"out={out}"]) == 0
    before = out.read_bytes()
    assert main([*arguments, f"out={out}", "columns=1"]) == 2
    assert "exists with other content" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", run_folder.name]
    assert main(arguments) == main([*arguments, "columns=1"]) == 0
    names = sorted(path.name for path in (run_folder / "sampled").iterdir())
    assert names == ["000001.000-grid-psi0.7-seeds0-3.png", "000001.000-grid-psi0.7-seeds0-3_2.png"]


def test_a_video_is_webp_by_default_and_gif_on_request(run_folder: Path, tmp_path: Path) -> None:
    arguments = ["sample", f"snapshot={run_folder}", "mode=video", "seeds=0-5", "tiles=2", "frames=2"]
    assert main(arguments) == main([*arguments, f"out={tmp_path / 'a.gif'}", "fps=10"]) == 0
    webp = run_folder / "sampled" / "000001.000-video-psi0.7-seeds0-5-tiles2-frames2.webp"
    for path in (webp, tmp_path / "a.gif"):
        with Image.open(path) as animation:
            assert (animation.n_frames, animation.size) == (6, (4 * 34, 4 * 16))


def test_a_video_with_sound_lasts_as_long_as_the_sound(run_folder: Path) -> None:
    song = write_wav(run_folder / "song.wav", clicks(0.5, 0.2))
    arguments = ["sample", f"snapshot={run_folder}", "mode=video", "seeds=0-3", "tiles=2", f"audio={song}"]
    assert main([*arguments, "fps=10", "audio_follows=onsets"]) == 0
    (path,) = (run_folder / "sampled").iterdir()
    assert path.name == "000001.000-video-psi0.7-seeds0-3-tiles2-onsets0.7-song.mp4"
    frames, fps = read_video(path)
    assert (frames.shape, fps) == ((5, 4 * 16, 4 * 34, 3), 10)
    assert read_audio(path).seconds == pytest.approx(0.5, abs=1024 / 48000)  # AAC has blocks of 1024 samples


def test_class_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "named.safetensors"
    info = {"images_seen": 0, "class_names": ["cat", "dog"]}
    save_snapshot(path, tiny_generator(num_classes=2), info)
    for out, label in (("a", "dog"), ("b", "1")):
        assert main(["sample", f"snapshot={path}", "seeds=0", f"class={label}", f"out={tmp_path / out}"]) == 0
    assert (tmp_path / "a" / "seed000000.png").read_bytes() == (tmp_path / "b" / "seed000000.png").read_bytes()
    assert main(["sample", f"snapshot={path}", "class=dgo"]) == 2
    assert "Did you mean dog?" in capsys.readouterr().err


def test_evaluate_prints_one_json_object_last(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a choice of metrics: the weights of the default one come from a package."""
    data = write_images(tmp_path / "data", 60)
    assert main(["evaluate", f"snapshot={run_folder}", f"data.path={data}", "num_samples=64"]) == 0
    card = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert card["metrics"]["fd_efficientnet_lite0"] > card["references"]["fd_efficientnet_lite0"]["real_vs_real"]
    assert {"prdc_efficientnet_lite0_coverage", "prdc_efficientnet_lite0_recall"} < set(card["metrics"])
    assert card["num_samples"] == 64
    beside = run_folder / "snapshots" / "000001.000.metrics.json"
    assert json.loads(beside.read_text())["metrics"] == card["metrics"]


def test_evaluate_images_against_themselves(tmp_path: Path) -> None:
    path, out = write_images(tmp_path / "data", 60), tmp_path / "card.json"
    arguments = ["evaluate", f"images={path}", f"data.path={path}", f"out={out}"]
    assert main([*arguments, "metrics=[fd_random_vgg16]"]) == 0
    card = json.loads(out.read_text())
    assert card["metrics"]["fd_random_vgg16"] < 1e-3 * card["references"]["fd_random_vgg16"]["averaged_2x2"]


def test_help_answers_within_a_second_and_without_torch() -> None:
    """Measured in CPU time, which does not depend on other load."""
    code = "import sys, time, stylegen.__main__ as m; m.main(['--help'])\n"
    code += "print(time.process_time(), file=sys.stderr); sys.exit('torch' in sys.modules)"
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, "torch was imported"
        assert "evaluate" in done.stdout
        seconds.append(float(done.stderr))
    assert min(seconds) < 1
