"""One browser for all tests of the viewer in a process, and a server with a run of two tiny snapshots."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from stylegen.viewer.renderer import Renderer
from tests.support.chromium import Tab, chromium
from tests.support.datasets import encode
from tests.support.viewer import Site, save_model, serving, tiny_model


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    run = tmp_path_factory.mktemp("runs") / "portraits"
    for kimg, seed in (("000002.500", 1), ("000005.000", 0)):
        save_model(run / "snapshots" / f"{kimg}.safetensors", seed=seed)
        (run / "samples").mkdir(exist_ok=True)
        (run / "samples" / f"{kimg}.png").write_bytes(encode(seed, (64, 64)))
    records = [{"kimg": k, "loss/G": 2 - 0.1 * k, "metric/fid": 100 / (k + 1)} for k in range(6)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + '{"kimg": 7, "lo')
    found = Renderer(tiny_model()).directions("pca")
    replace(found, names=["smile", "age"], vectors=found.vectors[:2], scales=found.scales[:2]).save(run / "mine.dir")
    files = {"mine": str(run / "mine.dir")}
    with serving(run.parent, projection_steps=8, direction_files=files) as server:
        yield Site(server, run)


@pytest.fixture
def tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, and checks each at the end of the test."""
    tabs: list[Tab] = []

    def open_tab(hash: str = "", **settings: Any) -> Tab:
        tabs.append(Tab(browser, site.server.url + hash, **settings))
        return tabs[-1]

    yield open_tab
    for opened in tabs:
        opened.close()
