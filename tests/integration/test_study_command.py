"""A killed study continues, and studies are reproducible bit for bit."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stylegen import randomness
from stylegen.__main__ import main
from stylegen.images import write_png
from tests.support.tiny import TINY_RUN

ROOT = Path(__file__).parents[2]
SET = [*TINY_RUN[1:-1], "batch_size=20", "total_kimg=0.12", "checkpoint_every_kimg=0.02", "evaluation.num_samples=12"]
SET += ["evaluation.calibrate=false", "evaluation.metrics=[fd_random_vgg16,prdc_random_vgg16]", "data.resolution=null"]
CLASSES, IMAGES = 2, 12  # of each class
# The command with the cheap extractor of the fixture `thumbnail`.
CHEAP = """
import sys
from stylegen import features
from stylegen.__main__ import main
from tests.support.metric_images import Thumbnail
features.EXTRACTORS["random_vgg16"] = lambda weights, device: Thumbnail()
sys.exit(main())
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for k in range(CLASSES):
        noise = randomness.uniform(k, "pictures", torch.arange(IMAGES), (3, 16, 16))
        for i, image in enumerate((noise * 255).to(torch.uint8)):
            write_png(folder / f"{k}-{i}.png", image)
    labels = [[path.name, int(path.name[0])] for path in sorted(folder.glob("*.png"))]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def command(folder: Path, data: Path) -> list[str]:
    settings = " ".join([*SET, f"data.path={data}"])
    return [
        "study",
        "name=conditioning",
        "seeds=0,4",
        "only=[batch_film,cin]",
        f"set={settings}",
        f"output_dir={folder}",
    ]


def outcome(folder: Path) -> dict[str, object]:
    """Everything reproducible: the report without times, the bytes of weights and samples."""
    with (folder / "report.csv").open() as file:
        rows = [{k: v for k, v in row.items() if not k.endswith("sec_per_kimg")} for row in csv.DictReader(file)]
    files = [*folder.glob("*/snapshots/*.safetensors"), *folder.glob("*/samples/*.png"), *folder.glob("grids/*.png")]
    return {"rows": rows} | {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.usefixtures("thumbnail")
def test_a_killed_study_continues_and_repeats_bit_for_bit(tmp_path: Path, data: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", CHEAP, *command(killed, data)], cwd=ROOT, env=environment)
    second = killed / "batch_film-seed4" / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 300
    while not second.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -9, "it was not killed in the middle"
    assert second.exists()
    assert not (killed / "report.md").exists()
    assert not (killed / "cin-seed4").exists()
    first = killed / "batch_film-seed0" / "checkpoints" / "last.ckpt"
    written = first.stat().st_mtime_ns
    assert main(command(killed, data)) == 0
    assert first.stat().st_mtime_ns == written  # finished runs are not trained again
    assert main(command(whole, data)) == 0
    assert outcome(killed) == outcome(whole)
    assert len(outcome(whole)["rows"]) == 4
    report = (whole / "report.md").read_text()
    assert report.count("±") >= 6
    for name in ("batch_film", "cin"):
        assert f"[grid](grids/{name}.png)" in report
