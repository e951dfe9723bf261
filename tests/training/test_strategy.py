"""Two gloo processes, and micro-batches, give the same training as one process with the same global batch."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import TINY_RUN
from tests.training.two_processes import assert_same_state

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")

    @functools.cache
    def run(*arguments: int) -> dict[str, Any]:
        out = folder / f"{arguments}.pt"
        command = [sys.executable, "-m", "tests.training.two_processes", str(out), *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=300)
        return torch.load(out, weights_only=True)

    return run


@pytest.mark.parametrize("split", [(2,), (1, 8), (1, 4), (2, 4)], ids=str)
def test_processes_and_micro_batches_train_as_one(split: tuple[int, ...], train: Callable[..., dict[str, Any]]) -> None:
    """`split`: processes, and pictures that each works on at a time."""
    one, parts = train(1), train(*split)
    assert_same_state(parts["state"], one["state"])
    assert one["statistics"].keys() == parts["statistics"].keys()
    for name, value in one["statistics"].items():
        # Means in float32 of values of order 1: 2^-24 for each of 20 additions or fewer.
        assert abs(parts["statistics"][name] - value) <= 20 * 2**-24 * max(abs(value), 1), name


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
