"""Two gloo processes, and micro-batches, give the same training as one process with the same global batch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import change_processes, regularized_steps
from tests.support.double import assert_same_state
from tests.support.loss_gradients import VARIANTS, assert_same_gradients, gradients
from tests.support.two_processes import CASES, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with results of two processes: `CASES`, and runs continued from one process."""
    folder = tmp_path_factory.mktemp("processes")
    change_processes.train(folder, change_processes.BEGINNING, save=folder / "one.ckpt")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.support.two_processes", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "output").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One process with the whole batch, without micro-batches."""
    return train(tmp_path_factory.mktemp("alone") / "whole.pt")


def assert_same_training(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert_same_state(found["state"], expected["state"])
    assert found["statistics"].keys() == expected["statistics"].keys()
    for name, value in expected["statistics"].items():
        # Float32 means of values of order 1: an error of 2^-24 for each of at most 20 additions.
        assert abs(found["statistics"][name] - value) <= 20 * 2**-24 * max(abs(value), 1), name


@pytest.mark.parametrize("images", [8, 4])
def test_micro_batches_train_as_one(images: int, alone: dict[str, Any], tmp_path: Path) -> None:
    """`images`: size of a micro-batch."""
    assert_same_training(train(tmp_path / "parts.pt", images), alone)


@pytest.mark.parametrize("case", ["whole", "micro_batches"])
def test_processes_train_as_one(case: str, folder: Path, alone: dict[str, Any]) -> None:
    assert_same_training(torch.load(folder / f"{case}.pt", weights_only=True), alone)


@pytest.mark.parametrize("case", ["batch_norm", "growth"])
def test_processes_train_stylegan1_as_one(case: str, folder: Path, tmp_path: Path) -> None:
    """With path length: its gradient passes the reduced statistics of batch normalization twice."""
    expected = train(tmp_path / "alone.pt", *CASES[case])
    assert any("running_var" in name for name in expected["state"]) == (case == "batch_norm")
    assert_same_training(torch.load(folder / f"{case}.pt", weights_only=True), expected)


def test_processes_and_micro_batches_train_stylegan3_as_one(folder: Path, tmp_path: Path) -> None:
    """The magnitudes of its layers' inputs are means over the whole batch; the discriminator's images are blurred."""
    _, settings = CASES["stylegan3"]
    expected = train(tmp_path / "alone.pt", more=settings)
    assert any("magnitude_ema" in name and value != 1 for name, value in expected["state"].items())
    assert_same_training(torch.load(folder / "stylegan3.pt", weights_only=True), expected)


def test_compiled_processes_train_as_one_eager_process(folder: Path, tmp_path: Path) -> None:
    expected = train(tmp_path / "alone.pt", more=["augment=none"])
    assert_same_training(torch.load(folder / "compiled.pt", weights_only=True), expected)
    assert (folder / "output").read_text().count("compiled loss/") == 4, "both main terms on both ranks"


@pytest.mark.parametrize("loss", VARIANTS)
def test_processes_with_micro_batches_have_the_gradients_of_one_batch(loss: str, folder: Path) -> None:
    expected = gradients(VARIANTS[loss])
    for rank in range(2):
        found = torch.load(folder / f"losses{rank}.pt", weights_only=True)[loss]
        assert_same_gradients(found, expected)


def test_processes_with_micro_batches_train_with_all_regularizers_as_one(folder: Path) -> None:
    expected = regularized_steps.train(regularized_steps.regularized_step(), 3)
    assert_same_state(torch.load(folder / "regularizers.pt", weights_only=True), expected)


def test_a_checkpoint_continues_on_another_number_of_processes(folder: Path, tmp_path: Path) -> None:
    """From 1 to 2 and from 2 to 1: equal to one process throughout, including the float32 records."""
    alone = change_processes.train(tmp_path, change_processes.STEPS)
    two_then_one = change_processes.train(folder, change_processes.STEPS, load=folder / "two.ckpt")
    one_then_two = torch.load(folder / "result.pt", weights_only=True)
    for changed in (one_then_two, two_then_one):
        assert_same_state(changed["state"], alone["state"])
        assert changed["record"] == pytest.approx(alone["record"], rel=1e-5)
