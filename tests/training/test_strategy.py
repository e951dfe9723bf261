"""Two gloo processes give the same training as one with the same global batch."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.tiny import TINY_RUN

ROOT = Path(__file__).parents[2]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    results = []
    for devices in (1, 2):
        out = tmp_path / f"{devices}.pt"
        command = [sys.executable, "-m", "tests.training.two_processes", str(out), str(devices)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
        results.append(torch.load(out, weights_only=True))
    one, two = results
    assert one["state"].keys() == two["state"].keys()
    for name, tensor in one["state"].items():
        torch.testing.assert_close(two["state"][name], tensor, rtol=1e-5, atol=1e-9, msg=name)
    assert one["statistics"].keys() == two["statistics"].keys()
    for name, value in one["statistics"].items():
        assert abs(two["statistics"][name] - value) <= 1e-5 * max(abs(value), 1), name


def test_the_command_starts_its_processes_and_ends_with_one_result(tmp_path: Path) -> None:
    overrides = [*TINY_RUN, "batch_size=8", "total_kimg=0.016", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *overrides],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("snapshot  ") == 1
    (folder,) = (tmp_path / "runs").iterdir()
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1
