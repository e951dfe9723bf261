"""Mapping and synthesis as graphs of one image, in ONNX Runtime."""

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.errors import UserError
from stylegen.exports import browser_graphs
from stylegen.exports.browser_graphs import MAPPING, SYNTHESIS, write_browser_graphs
from stylegen.exports.export_source import Source
from stylegen.latent.noise_inputs import random_noise
from tests.support.tiny import tiny_generator


def run(path: Path, **inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path)
    return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in inputs.items()})[0])


@pytest.mark.parametrize(
    "settings",
    [{"name": "stylegan1", "num_classes": 3}, {"architecture": "resnet"}, {"name": "stylegan3", "num_layers": 4}],
)
def test_images_equal_the_networks(settings: dict[str, Any], tmp_path: Path) -> None:
    G = tiny_generator(8 if settings.get("name") != "stylegan3" else 16, **settings)
    save_snapshot(tmp_path / "x.safetensors", G, {})
    assert write_browser_graphs(Source(load_snapshot(tmp_path / "x.safetensors")), tmp_path) < 1e-4
    labels = {"c": torch.tensor([[0.2, 0.0, 0.5]])} if G.num_classes else {}
    z, ws = torch.randn(1, G.z_dim), torch.randn(1, G.num_ws, len(G.mapping.w_avg))
    torch.testing.assert_close(run(tmp_path / MAPPING, z=z, **labels), G.mapping(z, *labels.values()))
    noise = random_noise(G, [7]) if G.has_noise else []
    found = run(tmp_path / SYNTHESIS, ws=ws, **{f"noise{k}": value for k, value in enumerate(noise)})
    torch.testing.assert_close(found, G.synthesis(ws, noise or "none"), rtol=1e-3, atol=1e-3)
    assert str(tmp_path).encode() not in (tmp_path / SYNTHESIS).read_bytes()
    names = {tensor.name for tensor in onnx.load(tmp_path / SYNTHESIS).graph.initializer}
    assert not [name for name in names if "mapping" in name or "noise_const" in name]


def test_differences_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    G = tiny_generator(8)

    def wrong(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.full((1, 3, 8, 8), torch.nan)

    with pytest.raises(UserError, match="ONNX Runtime differs by nan from the network"):
        browser_graphs._checked(G, lambda inputs: G.mapping(*inputs.values()), wrong)
