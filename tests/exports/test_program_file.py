"""Programs of torch.export: PyTorch's operators only, the network's images at any batch size."""

import io
import json
import warnings
import zipfile
from pathlib import Path

import torch

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.exports.export_source import Source
from stylegen.exports.program_file import write_program
from stylegen.latent.truncation import truncate
from tests.support.tiny import tiny_generator

ROOT = Path(__file__).parents[2]


def test_a_program(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(8, num_classes=2), {})
    snapshot = load_snapshot(tmp_path / "x.safetensors")
    (line,) = write_program(Source(snapshot), tmp_path / "x.pt2")
    assert float(line.rpartition(": ")[2]) < 1e-4
    with warnings.catch_warnings(action="ignore"):  # of torch.export about itself
        program = torch.export.load(io.BytesIO((tmp_path / "x.pt2").read_bytes()))
        module = program.module()
    G = snapshot.generator
    for number, psi in ((1, 0.3), (4, 1.2)):
        z, c = torch.randn(number, 8), torch.eye(2)[torch.arange(number) % 2]
        ws = truncate(G.mapping(z, c).unsqueeze(1).repeat(1, G.num_ws, 1), G.mapping.w_avg, psi)
        torch.testing.assert_close(module(z, torch.tensor(psi), c), G.synthesis(ws), rtol=1e-4, atol=1e-4)
    assert {str(node.target).partition(".")[0] for node in program.graph.nodes if node.op == "call_function"} == {
        "aten"
    }

    with zipfile.ZipFile(tmp_path / "x.pt2") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(next(data for name, data in content.items() if name.endswith("stylegen.json")))
    assert (metadata["input"], metadata["noise"], metadata["resolution"]) == ("z", "const", 8)
    for folder in (ROOT, Path(torch.__file__).parent, tmp_path):
        assert not [name for name, data in content.items() if str(folder).encode() in data]
