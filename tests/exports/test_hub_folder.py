"""Folders for the Hugging Face Hub: the snapshot byte for byte, a model card that the Hub's library reads."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from stylegen import __version__
from stylegen.checkpoints.packaged import packaged_model
from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.errors import UserError
from stylegen.exports.export_source import Source
from stylegen.exports.hub_folder import write_hub_folder
from stylegen.exports.model_card import model_card
from stylegen.networks import GENERATORS, build_generator
from tests.support.tiny import tiny_generator

CARD = {"metrics": {"fid": 12.345678, "kid": 0.5}, "better": {"fid": "lower"}, "dataset": {"name": "mine"}}


def source(tmp_path: Path, license: str | None = None, **info: object) -> Source:
    path = tmp_path / "000012.000.safetensors"
    save_snapshot(path, tiny_generator(8, num_classes=2), {"images_seen": 12000, "dataset": "mine: ä", **info})
    return Source(load_snapshot(path), license=license, out=tmp_path / "folder")


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "000012.000.metrics.json").write_text(json.dumps(CARD))
    folder = tmp_path / "folder"
    lines = write_hub_folder(source(tmp_path, "cc-by-4.0"), folder)
    assert lines == [f"hf upload USER/NAME {folder}", "then: python -m stylegen sample snapshot=hf:USER/NAME"]
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "config.json", "model.safetensors", "samples.png")
    ]
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "000012.000.safetensors").read_bytes()
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, name, revision: str(folder / name))
    loaded = load_snapshot("hf:someone/something")
    config = json.loads((folder / "config.json").read_text())
    assert (config["library_name"], config["stylegen"], config["network"]) == ("stylegen", __version__, "stylegan2")
    assert config["settings"] == json.loads(json.dumps(loaded.generator.settings))
    assert config["level"] == {"resolution": 8, "alpha": 1.0}
    with Image.open(folder / "samples.png") as image:
        assert image.size == (8 * 10 - 2, 4 * 10 - 2)


@pytest.mark.parametrize("network", GENERATORS)
def test_each_network_has_a_title(network: str, tmp_path: Path) -> None:
    sizes = {"z_dim": 8, "channel_base": 256, "channel_max": 16}
    save_snapshot(tmp_path / "a.safetensors", build_generator(network, resolution=16, **sizes), {})
    text = model_card(Source(load_snapshot(tmp_path / "a.safetensors"), license=None, out=tmp_path), "samples.png: s")
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert title.lower() == f"# {network.removesuffix('1')}, 16 px"


def test_the_model_card(tmp_path: Path) -> None:
    (tmp_path / "000012.000.metrics.json").write_text(json.dumps(CARD))
    write_hub_folder(source(tmp_path, "other"), tmp_path / "folder")
    card = ModelCard.load(tmp_path / "folder" / "README.md")
    assert card.data.to_dict() == {
        "library_name": "stylegen",
        "pipeline_tag": "unconditional-image-generation",
        "license": "other",
        "tags": ["stylegan2", "gan", "image-generation"],
    }
    text = card.text
    assert "| `fid` | 12.35 | lower |" in text
    assert json.loads(text.partition("```json\n")[2].partition("```")[0]) == CARD
    assert "dataset: mine: ä" in text
    assert "8x8 px, 3 channels, 2 classes" in text
    assert "snapshot=hf:USER/NAME" in text
    assert "(samples.png)" in text


def test_without_license_and_metrics(tmp_path: Path) -> None:
    lines = write_hub_folder(source(tmp_path, data={"path": "/home/someone/faces.zip"}), tmp_path / "folder")
    assert "license" in lines[1]
    assert "/home/someone/faces.zip" in lines[0]
    card = ModelCard.load(tmp_path / "folder" / "README.md")
    assert card.data.license is None
    assert "Metrics" not in card.text
    assert "/home/someone" not in card.text


def test_a_packaged_model_has_its_card(tmp_path: Path) -> None:
    lines = write_hub_folder(Source(load_snapshot("portraits64")), tmp_path / "folder")
    assert not any("license" in line for line in lines)
    card = ModelCard.load(tmp_path / "folder" / "README.md")
    assert card.data.license == "cc-by-sa-4.0"
    text = card.text
    assert text.startswith("\n# OpenMoji portraits")
    metrics = packaged_model("portraits64").card["metrics"]
    assert f"| `fd_efficientnet_lite0` | {metrics['fd_efficientnet_lite0']} |" in text
    assert "license: CC BY-SA 4.0" in text


@pytest.mark.parametrize("text", ["{", "[]", '{"metrics": {"fid": "x"}}', '{"metrics": 3}'])
def test_a_damaged_metric_card_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "000012.000.metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json: it is damaged"):
        write_hub_folder(source(tmp_path), tmp_path / "folder")
