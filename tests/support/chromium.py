"""Debian's Chromium without a window, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

AXE = Path(__file__).with_name("axe") / "axe.min.js"
REQUIRED = "STYLEGEN_REQUIRE_CHROMIUM"  # set where a missing Chromium is an error
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@contextmanager
def chromium() -> Iterator[Any]:
    """Context manager: a browser; skips the test if Chromium is not installed, or fails if `REQUIRED` is set."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "there is no chromium: apt-get install chromium"
        pytest.fail(reason) if os.environ.get(REQUIRED) else pytest.skip(reason)
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=_ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A page of the viewer that records what must not happen: errors, and requests to other machines."""

    def __init__(self, browser: Any, url: str, width: int = 1280, height: int = 860, scheme: str = "dark") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            has_touch=width < 600,
        )
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.goto(url)
        self.wait()

    def wait(self) -> None:
        """Until the first image is shown."""
        self.page.wait_for_selector("body[data-ready] #image[data-count]", state="attached")

    def pixels(self) -> Tensor:
        """uint8 [3, H, W] of the large image."""
        width, values = self.page.evaluate(
            "() => { const c = document.getElementById('image');"
            "return [c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; }"
        )
        return torch.tensor(values, dtype=torch.uint8).reshape(-1, width, 4).permute(2, 0, 1)[:3]

    def expect(self, image: Tensor, seconds: float = 15.0) -> None:
        """Wait until the page shows this image as PNG, pixel for pixel."""
        for _ in range(int(seconds / 0.05)):
            if self.page.get_attribute("#image", "data-encoding") == "png" and torch.equal(self.pixels(), image):
                return
            self.page.wait_for_timeout(50)
        difference = (self.pixels().int() - image.int()).abs().max()
        raise AssertionError(f"the page shows another image, by {difference} levels: {self.page.url}; {self.errors}")

    def open(self, *sections: str) -> None:
        """Open sections of the panel."""
        for title in sections:
            summary = self.page.locator("summary", has_text=title)
            if summary.locator("..").get_attribute("open") is None:
                summary.click()

    def faults(self) -> list[str]:
        """Serious accessibility faults, as axe-core finds them."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{v['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"]
        ]

    def close(self) -> None:
        """Close, and check that nothing went wrong."""
        self.context.close()
        assert not self.errors, self.errors
        hosts = {url.split("/")[2].split(":")[0] for url in self.requests if not url.startswith(("blob:", "data:"))}
        assert hosts == {"127.0.0.1"}
