"""The Python block of docs/formats.md that reads a snapshot without this package."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from tests.support.tiny import tiny_generator

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
READ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]


@pytest.mark.parametrize("level", [16, 8])
def test_a_snapshot_without_this_package(level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = tiny_generator(16, name="stylegan1", conditioning="batch_film")
    generator.set_level(level)
    save_snapshot(Path("network.safetensors"), generator, {"dataset": "ä"})
    assert "stylegen." not in READ
    assert "import stylegen" not in READ
    found: dict[str, Any] = {}
    exec(compile(READ, PAGE.name, "exec"), found)
    assert found["description"]["info"] == {"dataset": "ä"}
    assert ("level" in found["description"]) == (level == 8)
    state = load_snapshot("network.safetensors").generator.state_dict()
    assert found["tensors"].keys() == state.keys()
    assert all(torch.equal(torch.from_numpy(found["tensors"][name]), state[name]) for name in state)

    data = bytearray(Path("network.safetensors").read_bytes())
    data[-1] ^= 1
    Path("network.safetensors").write_bytes(data)
    with pytest.raises(AssertionError):
        exec(compile(READ, PAGE.name, "exec"), {})
