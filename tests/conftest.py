"""What all tests share: offline, deterministic, and nothing left on the machine of whoever runs them."""

import os
from collections.abc import Iterator

# Before torch and wandb are imported by anything else.
os.environ["WANDB_MODE"] = "disabled"

import pytest
import torch


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Tests beside each other do not fight for cores; `OMP_NUM_THREADS` sets another number."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from, or left in, the cache folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
