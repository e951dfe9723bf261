"""Shared by all tests: no network, deterministic, parallel, no files left on the machine."""

import os

# Before torch and wandb are imported by anything else. Tests in parallel must not compete for cores.
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import zlib
from collections.abc import Iterator

import hypothesis
import numpy
import pytest
import torch

from stylegen import features
from tests.support.metric_images import Thumbnail

LONG = ("integration", "training", "benchmarks", "runs", "studies", "verbs", "tests")

# The same examples every time, without a database that carries over between runs.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto` in pyproject.toml: `OMP_NUM_THREADS` cores per process, up to 4 processes (1.5 GB each); none for a
    single file."""
    if len(config.args) == 1 and ".py" in config.args[0]:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cores // int(os.environ["OMP_NUM_THREADS"]), 4)
    return processes if processes > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rooms with long files first (`--no-loadscope-reorder`): test processes then end at nearly the same time."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def _seed(name: str) -> None:
    """Seeds the global generators from a name."""
    seed = zlib.crc32(name.encode())
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def pytest_fixture_setup(fixturedef: pytest.FixtureDef, request: pytest.FixtureRequest) -> None:
    """Seeds a fixture by name: its random data do not depend on the test that requests it first."""
    _seed(f"{fixturedef.argname}[{request.param_index}]")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Seeds a test by name: its random data do not depend on order or process."""
    _seed(item.nodeid)


@pytest.fixture(autouse=True)
def _threads() -> None:
    """`OMP_NUM_THREADS` threads, even if an earlier test changed the number."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Redirects the cache folder, so that tests do not touch the user's; test processes share one."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGEN_CACHE", str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"))
        yield


@pytest.fixture
def thumbnail(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fd_random_vgg16` with a cheap extractor."""
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Thumbnail())
