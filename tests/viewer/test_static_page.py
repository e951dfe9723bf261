"""The static page in Chromium: the same images as the library, within a gray level, without a server of ours."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylegen import randomness
from stylegen.__main__ import main
from stylegen.latent.interpolation import cubic
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from stylegen.viewer.page_state import Keyframe
from stylegen.viewer.renderer import Renderer
from tests.support.chromium import Tab
from tests.support.static_site import runtime_or_skip, web_server
from tests.support.viewer import save_model, still, tiny_model

pytestmark = pytest.mark.browser
SCREENSHOTS = os.environ.get("STYLEGEN_SCREENSHOTS")  # a folder, such as docs/images, to write it again
MODEL = tiny_model()
KEY = list(randomness.key(0, "sample/z"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page, in a folder of the server."""
    root = tmp_path_factory.mktemp("www")
    runtime = runtime_or_skip()
    settings = {"snapshot": save_model(root / "tiny.safetensors"), "export": root / "some" / "site", "runtime": runtime}
    assert main(["view", *(f"{name}={value}" for name, value in settings.items())]) == 0
    with web_server(root) as base:
        yield f"{base}/some/site/"


@pytest.fixture(scope="module")
def opened(url: str, browser: Any) -> Iterator[Tab]:
    """One tab for all tests, because loading takes a second; closing it checks for errors and foreign requests."""
    tab = Tab(browser, url)
    yield tab
    tab.close()


@pytest.fixture
def tab(opened: Tab) -> Tab:
    """The tab, with the first address."""
    go(opened, {})
    return opened


def shown(tab: Tab, expected: Tensor) -> None:
    """Wait until the page shows this image: float32 sums in another order, floored, differ by a level at most."""
    for _ in range(300):
        difference = (tab.pixels().int() - expected.int()).abs().max()
        if difference <= 1:
            return
        tab.page.wait_for_timeout(50)
    raise AssertionError(f"another image, by {difference} levels: {tab.page.url}; {tab.errors}")


GO = """async (state) => {
  const read = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
  location.hash = encodeURIComponent(state);
  await Promise.race([read, new Promise((resolve) => setTimeout(resolve, 1000))]);
  await new Promise((resolve) => setTimeout(resolve, 20)); // the page writes the address again
}"""


def go(tab: Tab, fields: dict[str, Any], **page: Any) -> None:
    """Open an address of the page."""
    tab.page.evaluate(GO, json.dumps({"model": "tiny", "still": fields, **page}))


STILLS: list[dict[str, Any]] = [
    {"seed": 12},
    {"seed": 2**32 + 5, "psi": 1},
    {"seed": 2**53 - 1, "psi": -0.5, "cutoff": 2},
    {"seed": 3, "label": "1"},
    {"seed": 3, "label": "2:0.25,0:0.5", "center": "class", "psi": 0.4},
    {"seed": 4, "center": "class"},
    {"seed": 4, "noise": "none"},
    {"seed": 4, "noise": "random"},
    {"seed": 5, "noise": "random", "noise_strength": 0.5},
    {"seed": 5, "noise_strength": 2.5},
    {"seed": 6, "mixed": [0, 2, 4], "mix_seed": 9},
    {"seed": 6, "mixed": [5], "mix_seed": 2**40, "psi": 0.2},
    {"seed": 7, "x": 0.7, "y": -0.4},
    {"seed": 8, "moves": [{"set": "sefa", "index": 2, "strength": 3.0}]},
    {"seed": 8, "moves": [{"set": "pca", "index": 0, "strength": -2.0, "layers": [1, 3]}]},
]


def test_images_equal_the_librarys(tab: Tab) -> None:
    renderer = Renderer(MODEL)
    before = Sampler(MODEL.generator, psi=0.7).images([0])[0]
    shown(tab, before)
    for fields in STILLS:
        expected = renderer.images([still(**fields)])[0]
        assert (expected.int() - before.int()).abs().max() > 2, "the test could not tell the images apart"
        go(tab, fields)
        shown(tab, expected)
        before = expected
    tab.page.reload()
    tab.wait()
    shown(tab, before)


def test_controls_grids_and_keyboard(tab: Tab, tmp_path: Path) -> None:
    renderer, page = Renderer(MODEL), tab.page

    def expect(**fields: Any) -> None:
        shown(tab, renderer.images([still(**fields)])[0])

    page.locator("body").press("ArrowRight")
    expect(seed=1)
    page.locator("#psi").fill("-0.5")
    page.locator("#class").select_option("owl")
    expect(seed=1, psi=-0.5, label="2")
    page.get_by_role("switch").nth(1).click()
    expect(seed=1, psi=-0.5, label="2", mixed=[1])
    tab.open("Map", "Directions", "Noise", "Export")
    page.wait_for_selector("#map[data-ready]")
    page.locator("#map-x").fill("-1")
    expect(seed=1, psi=-0.5, label="2", mixed=[1], x=-1)
    page.locator("[data-direction='1']").fill("2")
    moves = [{"set": "sefa", "index": 1, "strength": 2.0}]
    expect(seed=1, psi=-0.5, label="2", mixed=[1], x=-1, moves=moves)
    page.get_by_role("button", name="Grid").click()
    page.get_by_role("button", name="seed 7", exact=True).click()
    expect(seed=7, psi=-0.5, label="2", mixed=[1], moves=moves)
    with page.expect_download() as waiting:
        page.locator("[data-format=png]").click()
    assert waiting.value.suggested_filename == "tiny-seed7.png"
    waiting.value.save_as(tmp_path / "image.png")
    with Image.open(tmp_path / "image.png") as image:
        assert np.array_equal(np.array(image.convert("RGB")), tab.pixels().permute(1, 2, 0).numpy())


def test_what_needs_a_server_is_hidden(tab: Tab) -> None:
    tab.open("Export")
    assert tab.page.locator("[data-format]").all_inner_texts() == ["PNG"]
    assert tab.page.locator("#views button").all_inner_texts() == ["Image", "Grid"]
    assert not tab.page.locator("#command, #file").count()
    go(tab, {}, view="layers")
    tab.page.wait_for_selector("#view-image", state="visible")


def test_accessibility_and_width(tab: Tab, url: str, browser: Any) -> None:
    keyframes = [{"seconds": 0}, {"seconds": 2, "still": {"seed": 3}}]
    phone = Tab(browser, url, scheme="light", width=390, height=844)
    for it in (tab, phone):
        go(it, {}, keyframes=keyframes)
        it.open("Map", "Directions", "Noise", "Export")
        it.page.wait_for_selector("[data-direction='0']")
        it.page.wait_for_function("() => document.querySelectorAll('.keyframe canvas').length === 2")
        faults = it.faults()
        it.page.get_by_role("button", name="Grid", exact=True).click()
        it.page.wait_for_selector("#sheet button")
        assert not faults + it.faults()
        assert it.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    phone.close()


def test_errors_are_shown(tab: Tab) -> None:
    for fields, text in (
        ({"seed": -1}, "seed=-1: must be an integer from 0"),
        ({"label": "7"}, "class=7"),
        ({"mixed": [9]}, "layer=9"),
        ({"moves": [{"set": "mine", "index": 0, "strength": 1}]}, "no directions mine"),
        ({"source": "image1"}, "no projected images"),
    ):
        go(tab, fields)
        tab.page.wait_for_function("(text) => document.getElementById('message').textContent.includes(text)", arg=text)
    go(tab, {"seed": 2})
    shown(tab, Renderer(MODEL).images([still(seed=2)])[0])


def test_a_missing_file_is_named(url: str, browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.route("**/synthesis.onnx", lambda route: route.abort())
    page.goto(url)
    page.wait_for_selector("text=The model cannot be loaded")
    page.close()


def test_random_numbers_and_videos_equal_pythons(tab: Tab) -> None:
    """The elementary functions of two libraries differ by a few units of float64, so results by one of float32."""
    call = "async ([module, name, values]) => [...(await import(new URL(module, document.baseURI)))[name](...values)]"

    def found(module: str, name: str, *values: Any) -> Tensor:
        return torch.tensor(tab.page.evaluate(call, [f"page/{module}.js", name, values]), dtype=torch.float64)

    for seed in (0, 7, 2**32 + 5, 2**53 - 1):
        for size in (1, 8, 513):
            expected = randomness.normal(0, "sample/z", torch.tensor([seed]), (size,))[0].double()
            assert torch.allclose(found("random", "normals", KEY, seed, size), expected, rtol=2.0**-22, atol=1e-12)
    for seed, size in ((0, 5), (85, 512), (2**32 - 1, 700)):
        expected = torch.from_numpy(np.random.RandomState(seed).randn(size)).float().double()
        assert torch.allclose(found("random", "numpyNormals", seed, size), expected, rtol=2.0**-22, atol=1e-12)
    for loop in (True, False):
        for count in (2, 3, 5):
            seconds = [0.0, 1.0, 1.5, 4.0, 4.25][:count]
            points = torch.randn(count, 4, dtype=torch.float64)
            keys = Timing(24.0, None, seconds, closed=loop).keys(count)
            frames = found("styles", "frameTimes", seconds, 24, loop)
            assert frames.tolist() == keys
            for t in (0.0, 0.3 * keys[-1], 0.9 * keys[-1], keys[-1]):
                expected = cubic(points, torch.tensor(keys, dtype=torch.float64), torch.tensor([t]))[0]
                if loop and t == keys[-1]:
                    expected = points[0]
                assert torch.allclose(found("styles", "cubic", points.tolist(), keys, t), expected, atol=1e-9)


def test_a_video_plays(tab: Tab) -> None:
    frames = [{"seconds": 0, "still": {"seed": 1}}, {"seconds": 2, "still": {"seed": 2, "psi": 0.3}}]
    go(tab, {}, keyframes=frames)
    tab.page.locator("#scrubber").fill("0.5")
    keyframes = [Keyframe(frame["seconds"], still(**frame["still"])) for frame in frames]  # type: ignore[arg-type]
    shown(tab, Renderer(MODEL).frame(keyframes, True, 24.0, 0.5)[0])


@pytest.mark.skipif(not SCREENSHOTS, reason="the image of docs/viewer.md: STYLEGEN_SCREENSHOTS=docs/images")
def test_screenshot(browser: Any, tmp_path: Path) -> None:
    """The packaged model, on a phone."""
    path = Path(str(SCREENSHOTS)) / "viewer_static_390.png"
    assert main(["view", f"export={tmp_path / 'site'}", f"runtime={runtime_or_skip()}"]) == 0
    with web_server(tmp_path / "site") as base:
        state = '{"still":{"seed":49,"mix_seed":33,"mixed":[6,7,8,9]}}'
        opened = Tab(browser, f"{base}/#{state}", width=390, height=844, scheme="light")
        for key in ("ArrowRight", "ArrowLeft") * 4:  # compiled by now: the shown milliseconds are for an image
            opened.page.locator("body").press(key)
            opened.page.wait_for_timeout(300)
        opened.page.wait_for_timeout(1500)
        opened.page.screenshot(path=path)
        opened.close()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
