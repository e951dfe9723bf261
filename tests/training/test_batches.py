"""Errors in data loading workers are raised as they would be in the training process."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from stylegen.data.dataset import ImageDataset
from stylegen.errors import RunError, UserError
from stylegen.training.batches import Batches, WholeBatches
from tests.support.datasets import encode, write_folder


def load(dataset: Any) -> list[Any]:
    return list(Batches(DataLoader(WholeBatches(dataset), sampler=[[0], [1]], batch_size=None, num_workers=1)))


def test_an_image_damaged_during_the_training_is_named(tmp_path: Path) -> None:
    dataset = ImageDataset(write_folder(tmp_path, {f"{i}.png": encode(i) for i in range(2)}), cache="off")
    assert len(load(dataset)) == 2
    (tmp_path / "1.png").write_bytes(encode(1)[:40])
    with pytest.raises(UserError, match=r"1\.png cannot be decoded"):
        load(dataset)


class Killed:
    """A dataset that kills its worker."""

    def batch(self, indices: list[int]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_line() -> None:
    with pytest.raises(RunError, match=r"a data worker was killed .* Use data.workers=0"):
        load(Killed())
