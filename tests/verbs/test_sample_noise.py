"""`sample.py mode=noise`: the effect of noise inputs, as in the paper's figures 4 and 5."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from tests.support.pillow import from_pil
from tests.support.tiny import tiny_generator


def columns(folder: Path, **settings: object) -> list[torch.Tensor]:
    snapshot = folder / "a.safetensors"
    save_snapshot(snapshot, tiny_generator(**settings), {})
    out = folder / "noise.png"
    arguments = ["sample", f"snapshot={snapshot}", "mode=noise", "seeds=0-1", "scale=1", "captions=false"]
    assert main([*arguments, f"out={out}"]) == 0
    with Image.open(out) as figure:
        assert figure.size == (5 * 18 - 2, 2 * 18 - 2)
        return [from_pil(figure)[:, :16, 18 * k : 18 * k + 16] for k in range(5)]


@pytest.mark.parametrize("name", ["stylegan1", "stylegan2"])
def test_samples_differ_and_their_deviation_is_shown(name: str, tmp_path: Path) -> None:
    none, *samples, deviation = columns(tmp_path, name=name)
    assert not any(torch.equal(none, sample) for sample in samples)
    assert not torch.equal(samples[0], samples[1])
    assert deviation.float().mean() > 10
    assert torch.equal(deviation[0], deviation[2])  # gray


def test_networks_without_noise_inputs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = tmp_path / "a.safetensors"
    save_snapshot(snapshot, tiny_generator(use_noise=False), {})
    assert main(["sample", f"snapshot={snapshot}", "mode=noise"]) == 2
    assert "trained with generator.use_noise=false" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [snapshot]


@pytest.mark.parametrize("setting", ["mode=noise", "noise=random", "noise=none"])
def test_stylegan3_has_no_noise_inputs(setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = tmp_path / "a.safetensors"
    save_snapshot(snapshot, tiny_generator(name="stylegan3", num_layers=2, num_critical=0), {})
    assert main(["sample", f"snapshot={snapshot}", "seeds=0", setting]) == 2
    assert f"{setting}: this network is stylegan3, without noise inputs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [snapshot]
