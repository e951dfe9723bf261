import os

# Before torch: one thread, so that sums have one order and tests beside each other do not fight for cores.
os.environ.setdefault("WANDB_MODE", "disabled")

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
