"""ONNX files: the network's images at any batch size, one file, metadata, nothing of this machine in it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch

from stylegen import __version__
from stylegen.checkpoints.snapshot import Snapshot, load_snapshot, save_snapshot
from stylegen.errors import UserError
from stylegen.exports import image_function
from stylegen.exports.export_source import Source
from stylegen.exports.onnx_file import OPSET, write_onnx
from stylegen.features.weights import sha256
from stylegen.images import to_uint8
from stylegen.latent.model import Model
from stylegen.latent.truncation import truncate
from tests.support.tiny import tiny_generator

ROOT = Path(__file__).parents[2]
BLOCK = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "formats.md").read_text(), re.DOTALL)[1]  # runs a file


def saved(path: Path, info: dict[str, object] | None = None, level: int = 0, **settings: object) -> Snapshot:
    generator = tiny_generator(**settings)  # type: ignore[arg-type]
    if level:
        generator.set_level(level, 0.25)
    save_snapshot(path / "x.safetensors", generator, info or {})
    return load_snapshot(path / "x.safetensors")


def assert_images_of_latents(snapshot: Snapshot, file: Path) -> None:
    """At batch sizes and psi that the export does not check."""
    G, session = snapshot.generator, onnxruntime.InferenceSession(file)
    for number, psi in ((1, 0.3), (5, 1.2)):
        z, c = torch.randn(number, G.z_dim), torch.eye(3)[torch.arange(number) % 3]
        inputs = {"z": z, "psi": torch.tensor(psi)} | ({"c": c} if G.num_classes else {})
        (found,) = session.run(["image"], {name: value.numpy() for name, value in inputs.items()})
        ws = truncate(G.mapping(z, c).unsqueeze(1).repeat(1, G.num_ws, 1), G.mapping.w_avg, psi)
        torch.testing.assert_close(torch.from_numpy(found), G.synthesis(ws), rtol=1e-3, atol=1e-3)


def test_stylegan3(tmp_path: Path) -> None:
    """Filters and Fourier features are part of the graph; the network has no noise to choose."""
    snapshot = saved(tmp_path, resolution=8, name="stylegan3", num_layers=2, num_critical=1, num_classes=3)
    write_onnx(Source(snapshot), tmp_path / "network.onnx")
    assert_images_of_latents(snapshot, tmp_path / "network.onnx")
    with pytest.raises(UserError, match="noise=none: this network is stylegan3, without noise inputs"):
        Source(snapshot, noise="none")


def test_the_packaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, file = load_snapshot("portraits64"), tmp_path / "network.onnx"
    lines = write_onnx(Source(snapshot), file)
    assert "z [N, 128], psi [] -> image [N, 3, 64, 64]" in lines[0]
    assert float(lines[1].rpartition(": ")[2]) < 1e-3
    assert 3_000_000 < file.stat().st_size < 4_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
    assert_images_of_latents(snapshot, file)

    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(BLOCK, "formats.md", "exec"), found)
    model = Model(snapshot)
    model.seed_source = "numpy"
    difference = to_uint8(torch.from_numpy(found["image"])).int() - model.sample(85, psi=0.7).int()
    assert difference.abs().max() <= 1


def test_a_conditional_network_at_a_level(tmp_path: Path) -> None:
    names = ["ä", "b", "c"]
    snapshot = saved(tmp_path, {"class_names": names}, name="stylegan1", resolution=16, level=8, num_classes=3)
    lines = write_onnx(Source(snapshot), tmp_path / "x.onnx")
    assert "c [N, 3] -> image [N, 3, 8, 8]" in lines[0]
    assert_images_of_latents(snapshot, tmp_path / "x.onnx")

    model = onnx.load(tmp_path / "x.onnx")
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["source"] == "x.safetensors"
    assert metadata["sha256"] == sha256(tmp_path / "x.safetensors")
    assert (metadata["stylegen"], metadata["resolution"]) == (__version__, "8")
    assert json.loads(metadata["settings"]) == json.loads(json.dumps(snapshot.generator.settings))
    assert json.loads(metadata["class_names"]) == names
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]


def test_images_of_styles_without_noise(tmp_path: Path) -> None:
    G = (snapshot := saved(tmp_path, resolution=8, architecture="resnet")).generator
    write_onnx(Source(snapshot, input="ws", noise="none"), tmp_path / "x.onnx")
    ws = torch.randn(2, G.num_ws, G.w_dim)
    (found,) = onnxruntime.InferenceSession(tmp_path / "x.onnx").run(None, {"ws": ws.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), G.synthesis(ws, "none"), rtol=1e-4, atol=1e-4)
    names = {tensor.name for tensor in onnx.load(tmp_path / "x.onnx").graph.initializer}
    assert not [name for name in names if "noise" in name or "mapping" in name]
    content = (tmp_path / "x.onnx").read_bytes()
    for folder in (ROOT, Path(torch.__file__).parent, tmp_path):
        assert str(folder).encode() not in content


@pytest.mark.parametrize("error", [0.01, torch.nan])
def test_differences_are_errors(error: float, tmp_path: Path) -> None:
    source = Source(saved(tmp_path, resolution=8))
    G = source.generator

    def run(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        ws = truncate(G.mapping(inputs["z"]).unsqueeze(1).repeat(1, G.num_ws, 1), G.mapping.w_avg, inputs["psi"].item())
        image = G.synthesis(ws)
        image[-1, -1, -1, -1] += error * image.abs().max() if len(image) == 2 else 0
        return image

    with pytest.raises(UserError, match=r"X differs by .* from the network"):
        image_function.largest_difference(run, source, "X")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(saved(tmp_path, resolution=8))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime is not installed.*pip install 'stylegen\[export\]'"):
        write_onnx(source, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_weights_above_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegen.exports.onnx_file._LARGEST", 1000)
    with pytest.raises(UserError, match=r"at most 2 GiB\. Use format=torch_export"):
        write_onnx(Source(saved(tmp_path, resolution=8)), tmp_path / "x.onnx")
