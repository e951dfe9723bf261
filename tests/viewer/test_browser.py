"""The page in Chromium: each control changes the image to the library's, pixel for pixel."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen.errors import import_extra
from stylegen.latent.latents_file import read_latents
from tests.support.chromium import Tab
from tests.support.datasets import encode
from tests.support.viewer import MODEL, Site, still

pytestmark = pytest.mark.browser
Tabs = Callable[..., Tab]


def hash_of(fields: dict[str, Any], **page: Any) -> str:
    return "#" + json.dumps({"model": MODEL, "still": fields, **page}).replace(" ", "")


def state_of(tab: Tab) -> dict[str, Any]:
    """The state in the address, which is written a little later than the image is shown."""
    tab.page.wait_for_timeout(350)
    found: dict[str, Any] = json.loads(unquote(tab.page.url.partition("#")[2]))
    return found


def test_seed_and_truncation(tab: Tabs, site: Site) -> None:
    it = tab()
    it.expect(site.image())
    page = it.page
    page.get_by_label("Seed", exact=True).fill("12")
    page.keyboard.press("Enter")
    it.expect(site.image(seed=12))
    page.get_by_role("button", name="Seed: one up").click()
    it.expect(site.image(seed=13))
    page.locator("body").press("ArrowLeft")
    it.expect(site.image(seed=12))
    page.locator("#psi").fill("-0.5")
    it.expect(site.image(seed=12, psi=-0.5))
    page.locator("#psi").press("ArrowRight")
    it.expect(site.image(seed=12, psi=-0.49))
    page.locator("#cutoff").fill("2")
    it.expect(site.image(seed=12, psi=-0.49, cutoff=2))
    page.get_by_text("mean of the class").click()
    page.locator("#class").select_option("dog")
    it.expect(site.image(seed=12, psi=-0.49, cutoff=2, center="class", label="1"))
    page.get_by_role("button", name="Seed: random").click()
    page.wait_for_function("() => !location.hash.includes('seed%22:12,')")
    it.expect(site.image(**state_of(it)["still"]))
    assert "token" not in page.url


def test_class_and_noise(tab: Tabs, site: Site) -> None:
    it = tab()
    it.page.locator("#class").select_option("owl")
    it.expect(site.image(label="2"))
    it.page.locator("#add-class").select_option("cat")
    it.expect(site.image(label="2:0.5,0:0.5"))
    it.page.click("#add-keyframe")
    it.page.get_by_label("owl", exact=True).fill("0.25")
    it.expect(site.image(label="2:0.25,0:0.5"))
    it.page.get_by_role("button", name="Show keyframe 1").click()
    assert it.page.get_by_label("owl", exact=True).input_value() == "0.5"
    it.page.get_by_label("owl", exact=True).fill("0.25")
    it.open("Noise")
    it.page.get_by_text("random", exact=True).last.click()
    it.expect(site.image(label="2:0.25,0:0.5", noise="random"))
    it.page.locator("#noise-strength").fill("0.5")
    it.expect(site.image(label="2:0.25,0:0.5", noise="random", noise_strength=0.5))
    it.page.get_by_text("none", exact=True).last.click()
    it.expect(site.image(label="2:0.25,0:0.5", noise="none"))


def test_mixing_chips(tab: Tabs, site: Site) -> None:
    it = tab()
    chips = it.page.get_by_role("switch")
    boxes = [chips.nth(k).bounding_box() for k in range(3)]
    it.page.mouse.move(boxes[0]["x"] + 9, boxes[0]["y"] + 20)
    it.page.mouse.down()
    for box in boxes:
        it.page.mouse.move(box["x"] + 9, box["y"] + 65, steps=3)
    it.page.mouse.up()
    it.expect(site.image(mixed=[0, 1, 2]))
    chips.nth(1).click()
    it.expect(site.image(mixed=[0, 2]))
    chips.nth(4).focus()
    it.page.keyboard.press("ArrowDown")
    it.expect(site.image(mixed=[0, 2, 4]))
    it.page.keyboard.press("ArrowLeft")
    it.page.keyboard.press("Space")
    it.expect(site.image(mixed=[0, 2, 3, 4]))
    it.page.get_by_role("button", name="Seed B: one up").click()
    it.expect(site.image(mixed=[0, 2, 3, 4], mix_seed=2))
    it.page.get_by_role("button", name="Exchange A and B").click()
    it.expect(site.image(mixed=[0, 2, 3, 4], seed=2, mix_seed=0))
    it.page.get_by_role("button", name="Coarse").click()
    it.expect(site.image(mixed=[0, 1, 2, 3], seed=2, mix_seed=0))


def test_the_map(tab: Tabs, site: Site) -> None:
    it = tab()
    it.open("Map")
    it.page.wait_for_selector("#map[data-ready]")
    it.page.locator("#map").scroll_into_view_if_needed()
    box = it.page.locator("#map").bounding_box()
    it.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    it.page.mouse.down()
    it.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4, steps=4)
    it.page.mouse.up()
    found = state_of(it)["still"]
    assert 0.6 < found["x"] < 0.8
    assert -0.45 < found["y"] < -0.25
    it.expect(site.image(**found))
    it.page.locator("#map-x").fill("-1")
    it.expect(site.image(x=-1, y=found["y"]))
    it.page.get_by_role("button", name="Back to the seed").click()
    it.expect(site.image())


def test_directions(tab: Tabs, site: Site) -> None:
    it = tab()
    it.open("Directions")
    it.page.locator("[data-direction='2']").fill("3")
    move = {"set": "sefa", "index": 2, "strength": 3.0}
    it.expect(site.image(moves=[move]))
    it.page.get_by_label("sefa2: last layer").select_option("1")
    it.expect(site.image(moves=[move | {"layers": [0, 1]}]))
    it.page.locator("#direction-set").select_option("pca")
    it.page.get_by_label("pca0", exact=True).fill("-2")
    it.expect(site.image(moves=[move | {"layers": [0, 1]}, {"set": "pca", "index": 0, "strength": -2.0}]))
    it.page.get_by_role("button", name="Reset all").click()
    it.expect(site.image())
    it.page.locator("#direction-set").select_option("mine")
    it.page.get_by_label("age", exact=True).fill("2")
    it.expect(site.image(moves=[{"set": "pca", "index": 1, "strength": 2.0}]))


def test_grids_and_layers(tab: Tabs, site: Site) -> None:
    it = tab()
    page = it.page
    page.get_by_role("button", name="Grid").click()
    page.get_by_role("button", name="seed 7", exact=True).click()
    it.expect(site.image(seed=7))
    page.go_back()
    page.get_by_role("button", name="seed 6", exact=True).wait_for()
    page.go_forward()
    it.expect(site.image(seed=7))
    page.get_by_role("button", name="Grid").click()
    page.get_by_text("Mixing", exact=True).click()
    page.get_by_role("button", name="seed 8 with styles of seed 3").click()
    it.expect(site.image(seed=8, mix_seed=3, mixed=[0, 1, 2]))
    page.get_by_role("button", name="Grid").click()
    page.get_by_text("Truncation", exact=True).first.click()
    page.get_by_role("button", name="seed 9, psi -0.5").click()
    it.expect(site.image(seed=9, mix_seed=3, mixed=[0, 1, 2], psi=-0.5))
    page.get_by_role("button", name="Layers").click()
    page.get_by_role("button", name="Maps of layer 1").click()
    page.wait_for_selector("text=map 0")
    page.get_by_role("button", name="All layers").click()
    page.wait_for_selector("text=noise, 16 px")


def test_keyframes_and_exports(tab: Tabs, site: Site, tmp_path: Path) -> None:
    it = tab(hash_of({"seed": 3, "mixed": [1]}))
    page = it.page
    it.expect(site.image(seed=3, mixed=[1]))
    it.open("Export")
    assert page.locator("[data-format=mp4]").is_disabled()
    page.click("#add-keyframe")
    page.get_by_role("button", name="Seed: one up").click()
    it.expect(site.image(seed=4, mixed=[1]))
    page.click("#add-keyframe")
    page.get_by_label("Seconds of keyframe 2").fill("0.5")
    page.keyboard.press("Enter")
    before = int(page.get_attribute("#image", "data-count"))
    page.click("#play")
    page.wait_for_function(f"() => document.getElementById('image').dataset.count > {before + 5}")
    page.click("#play")
    page.get_by_role("button", name="Show keyframe 1").click()
    it.expect(site.image(seed=3, mixed=[1]))

    files = {}
    for kind in ("png", "webp", "npz", "mp4", "animation"):
        with page.expect_download() as waiting:
            page.locator(f"[data-format={kind}]").click()
        files[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[kind])
    wanted = site.image(seed=3, mixed=[1])
    for kind in ("png", "webp"):
        with Image.open(files[kind]) as image:
            assert np.array_equal(np.array(image.convert("RGB")), wanted.permute(1, 2, 0).numpy())
    latents = read_latents(files["npz"], site.renderer.generator)
    assert list(latents.names) == ["still", "keyframe0", "keyframe1"]
    assert torch.equal(site.renderer.render(latents.ws[:1], [still()])[0], wanted)
    av = import_extra("av", "video", rule="it reads the file")
    with av.open(str(files["mp4"])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 24  # two intervals of 0.5 s
    with Image.open(io.BytesIO(files["animation"].read_bytes())) as animation:
        assert animation.n_frames > 12
    assert f"snapshot={site.snapshot}" in page.inner_text("#command")
    assert "mix(ws, other, [1])" in page.inner_text("#python")


def test_a_dropped_image_is_projected(tab: Tabs, site: Site) -> None:
    it = tab()
    page = it.page
    it.expect(site.image())
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": encode(3, (40, 30))})
    page.get_by_role("button", name="image 1", exact=True).wait_for()
    page.wait_for_function("() => document.getElementById('caption').textContent.startsWith('Projected')")
    renderer = site.server.renderer(MODEL)
    (name,) = renderer.sources
    wanted = renderer.images([still(source=name, psi=1)])[0]
    it.expect(wanted)
    site.server.handlers._open.clear()  # as a new start of the server does
    site.server.handlers._sources.clear()
    page.reload()
    it.expect(wanted)
    data = json.dumps(list(encode(4, (16, 16))))
    page.evaluate(
        f"""() => {{
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array({data})], "b.png", {{type: "image/png"}}));
          dispatchEvent(new DragEvent("drop", {{dataTransfer: transfer, cancelable: true}}));
        }}"""
    )
    page.get_by_role("button", name="image 2", exact=True).wait_for()
    page.set_input_files("#file", {"name": "c.png", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_function("() => !document.getElementById('message').hidden")
    assert it.errors == ["Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"]
    it.errors.clear()


def test_two_tabs_reload_and_runs(tab: Tabs, site: Site) -> None:
    one = tab(hash_of({"seed": 5, "psi": 0.3, "mixed": [0]}, keyframes=[{"seconds": 0, "still": {"seed": 2}}]))
    two = tab(hash_of({"seed": 6}))
    one.expect(site.image(seed=5, psi=0.3, mixed=[0]))
    two.expect(site.image(seed=6))
    before = state_of(one)
    one.page.reload()
    one.wait()
    one.expect(site.image(seed=5, psi=0.3, mixed=[0]))
    assert state_of(one) == before
    assert one.page.get_by_role("button", name="Show keyframe 1").is_visible()
    two.page.get_by_role("button", name="Run", exact=True).click()
    two.page.wait_for_selector("text=metric/fid")
    assert re.search(r"portraits, 5 kimg", two.page.inner_text("#view-run"))
    two.page.locator("#model").select_option("portraits/000002.500")
    two.page.get_by_role("button", name="Image", exact=True).click()
    two.page.wait_for_function("() => document.title.startsWith('portraits/000002.500')")
    assert state_of(two)["model"] == "portraits/000002.500"


def test_a_lost_connection(tab: Tabs, site: Site) -> None:
    """Requests made while there is none are answered by the next one."""
    it = tab()
    it.page.add_init_script(
        "window.WebSocket = class extends WebSocket { constructor(url) { super(url); window.socket = this; } }"
    )
    it.page.reload()
    it.wait()
    it.page.evaluate("() => socket.close()")
    it.page.wait_for_function("() => socket.readyState === WebSocket.CLOSED")
    for k in range(5):
        it.page.locator("#psi").fill(f"0.{k}")
    it.open("Map")
    it.page.get_by_text("No connection to the server").wait_for()
    it.expect(site.image(psi=0.4))
    it.page.wait_for_selector("#map[data-ready]")
    it.page.get_by_text("No connection to the server").wait_for(state="hidden")


@pytest.mark.parametrize("address", ['#{"still":{"psi":"x","seed":4,"no":1}}', '#{"model":"gone","view":"no"}', "#%%"])
def test_addresses_that_cannot_be_read(address: str, tab: Tabs, site: Site) -> None:
    tab(address).expect(site.image(seed=4 if "4" in address else 0))


@pytest.mark.parametrize("settings", [{"scheme": "dark"}, {"scheme": "light", "width": 390, "height": 844}])
def test_accessibility_and_width(settings: dict[str, Any], tab: Tabs) -> None:
    keyframes = [{"seconds": 0}, {"seconds": 2}]
    it = tab(
        hash_of({"label": "0:0.5,1:0.5", "moves": [{"set": "sefa", "index": 0, "strength": 1}]}, keyframes=keyframes),
        **settings,
    )
    it.open("Map", "Directions", "Noise", "Export")
    it.page.wait_for_selector("[data-direction='0']")
    faults = it.faults()
    for view, ready in (("Grid", "#sheet button"), ("Layers", "#layers button"), ("Run", "#curves figure")):
        it.page.get_by_role("button", name=view, exact=True).click()
        it.page.wait_for_selector(ready)
        faults += it.faults()
    assert not faults
    assert it.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
