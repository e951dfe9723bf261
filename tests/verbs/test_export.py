"""`python -m stylegen export` from the command line: the report, and bad input."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.exports.reference_names import REFERENCES
from tests.support.disturbed import Limited, fill
from tests.support.runs import content, refused
from tests.support.tiny import tiny_generator


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(8), {})
    return tmp_path / "x.safetensors"


def test_a_state_dict(snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "x.pt"
    assert main(["export", f"snapshot={snapshot}", "format=state_dict", f"out={out}"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{out} ({out.stat().st_size / 1e6:.1f} MB)"
    assert "stylegan2-ada-pytorch" in lines[0]
    assert "'img_resolution': 8" in lines[1]
    found = torch.load(out, weights_only=True)
    expected = REFERENCES["stylegan2"](tiny_generator(8)).tensors
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert type(found) is dict
    assert [path.name for path in out.parent.iterdir()] == ["x.pt"]


def test_a_folder(snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my.model"
    assert main(["export", f"snapshot={snapshot}", "format=huggingface", "license=mit", f"out={out}"]) == 0
    assert f"hf upload USER/NAME {out}" in capsys.readouterr().out
    assert main(["sample", f"snapshot={out / 'model.safetensors'}", f"out={tmp_path / 'sampled'}", "seeds=0"]) == 0


def test_bad_input(snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.onnx").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.pt").symlink_to(tmp_path / "nowhere")
    for settings, message in {
        "format=onnx out=old.onnx": "old.onnx: it exists already",
        "format=huggingface out=folder": "folder: it exists already",
        "format=state_dict out=link.pt": "link.pt: it exists already",
        "format=onnx out=new.pt": "Use format=state_dict",
        "format=onnx out=new": "new.onnx",
        "format=huggingface out=new.onnx": "Use format=onnx",
        "format=onx out=new.onnx": "Did you mean onnx",
        "format=onnx": "out",
        "format=state_dict input=ws out=new.pt": "input is a setting of format=onnx or format=torch_export",
        "format=huggingface noise=none out=new": "noise is a setting of",
        "format=onnx license=mit out=new.onnx": "license is a setting of format=huggingface",
        "format=huggingface license=MIT out=new": "Use license=mit",
        "format=huggingface license= out=new": "license=: the Hub's identifiers",
        "format=onnx noise=random out=new.onnx": "noise=random",
        "format=state_dict out=old.onnx/new.pt": "cannot be written",
    }.items():
        paths = [text.replace("out=", f"out={tmp_path}/") for text in settings.split()]
        assert message in refused(["export", f"snapshot={snapshot}", *paths], tmp_path, capsys), settings
    missing = ["export", f"snapshot={tmp_path / 'none'}", f"out={tmp_path / 'new.onnx'}"]
    assert "no such file" in refused(missing, tmp_path, capsys)


@pytest.mark.parametrize("settings", ["format=state_dict out=new.pt", "format=huggingface out=new"])
def test_a_full_disk_leaves_nothing(
    settings: str, snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def limited(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if self.name == "config.json":
            fill()
        file = opened(self, mode, *arguments, **options)
        return Limited(file, 1000, fill) if self.suffix == ".pt" else file

    monkeypatch.setattr(Path, "open", limited)
    before, paths = content(tmp_path), settings.replace("out=", f"out={tmp_path}/").split()
    assert "No space left" in refused(["export", f"snapshot={snapshot}", *paths], tmp_path, capsys)
    assert content(tmp_path) == before
