"""Packaged models: found by name, complete cards, small, and nothing is written beside them."""

import json
from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.checkpoints import packaged
from stylegen.checkpoints.packaged import names, packaged_model
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.checkpoints.transfer import read_weights
from stylegen.errors import DamagedFile, UserError
from stylegen.features.weights import sha256

MAX_BYTES = 8_000_000
CARD = {"title", "command", "commit", "kimg", "training", "sha256", "metrics", "protocol", "license", "limits"}


@pytest.mark.parametrize("name", names())
def test_models_are_complete(name: str) -> None:
    model = packaged_model(name)
    assert model.snapshot.stat().st_size <= MAX_BYTES
    assert set(model.card) >= CARD
    assert model.card["sha256"] == sha256(model.snapshot)
    info = load_snapshot(name).info
    assert model.card["kimg"] == info["images_seen"] / 1000
    assert "CC BY-SA 4.0" in model.card["license"]


def test_the_default_model_exists() -> None:
    assert "portraits64" in names()
    assert read_weights("portraits64").networks["G_ema"]


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"portrait64: .*Did you mean snapshot=portraits64\?"):
        load_snapshot("portrait64")
    with pytest.raises(UserError, match=r"Did you mean init=portraits64\?"):
        read_weights("portraits6")
    assert main(["models", "name=portraits"]) == 2
    assert "Did you mean portraits64?" in capsys.readouterr().err


def test_damage_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray((packaged.FOLDER / "portraits64.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "portraits64.safetensors").write_bytes(data)
    (tmp_path / "portraits64.json").write_text("{")
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    with pytest.raises(DamagedFile, match=r"SHA-256.*Install the package again"):
        load_snapshot("portraits64")
    with pytest.raises(UserError, match="missing or damaged"):
        packaged_model("portraits64")


def test_sample_without_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(packaged.FOLDER.iterdir())
    assert main(["sample"]) == 0
    (grid,) = (tmp_path / "sampled").iterdir()
    lines = capsys.readouterr().out.splitlines()
    assert grid.name == "portraits64-grid-psi0.7-seeds0-15.png"
    assert len([line for line in lines if line.startswith("  python ")]) == 3
    assert sorted(packaged.FOLDER.iterdir()) == before


def test_models_lists_titles_and_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert packaged_model("portraits64").card["title"] in capsys.readouterr().out
    assert main(["models", "name=portraits64"]) == 0
    shown = capsys.readouterr().out
    assert json.dumps(packaged_model("portraits64").card["metrics"]) in shown
