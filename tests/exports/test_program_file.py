"""Programs of torch.export: loaded without this package, the network's images at any batch size."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.exports.program_file import write_program
from stylegen.exports.source import Source
from stylegen.latent.sampler import truncate
from tests.support.tiny import tiny_generator

ROOT = Path(__file__).parents[2]
ALONE = """
import sys, torch
inputs = torch.load("inputs.pt", weights_only=True)
module = torch.export.load("x.pt2").module()
torch.save([module(*case) for case in inputs], "images.pt")
print("stylegen" in sys.modules)
"""


def test_a_program_alone(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(8, num_classes=2), {})
    snapshot = load_snapshot(tmp_path / "x.safetensors")
    (line,) = write_program(Source(snapshot), tmp_path / "x.pt2")
    assert float(line.rpartition(": ")[2]) < 1e-4
    G = snapshot.generator
    cases = [(torch.randn(n, 8), torch.tensor(psi), torch.eye(2)[torch.arange(n) % 2]) for n, psi in ((1, 0.3), (4, 1))]
    torch.save(cases, tmp_path / "inputs.pt")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False"], done.stderr
    for (z, psi, c), found in zip(cases, torch.load(tmp_path / "images.pt", weights_only=True), strict=True):
        ws = truncate(G.mapping(z, c).unsqueeze(1).repeat(1, G.num_ws, 1), G.mapping.w_avg, float(psi))
        torch.testing.assert_close(found, G.synthesis(ws), rtol=1e-4, atol=1e-4)

    with zipfile.ZipFile(tmp_path / "x.pt2") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(next(data for name, data in content.items() if name.endswith("stylegen.json")))
    assert (metadata["input"], metadata["noise"], metadata["resolution"]) == ("z", "const", 8)
    for folder in (ROOT, Path(torch.__file__).parent, tmp_path):
        assert not [name for name, data in content.items() if str(folder).encode() in data]
