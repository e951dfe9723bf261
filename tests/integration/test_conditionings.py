"""Every conditioning from the command line: trains, resumes, samples, mixes styles if it has any; bad input."""

import re
from pathlib import Path

import pytest
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.layers.conditioning import CONDITIONINGS, batch_statistics
from stylegen.verbs.study import load_study
from tests.support.runs import refused
from tests.support.tiny import TINY_RUN

STYLEGAN1 = ["generator=stylegan1", "discriminator=stylegan1"]
RUN = [*TINY_RUN, "data.use_labels=true", *STYLEGAN1]
RUN += [
    "batch_size=20",
    "logger.mode=disabled",
    "sample_every_kimg=0",
    "snapshot_every_kimg=0",
    "log_every_kimg=0.1",
]


def train(folder: Path, name: str, kimg: float) -> int:
    return main(["train", *RUN, f"generator.conditioning={name}", f"total_kimg={kimg}", f"output_dir={folder}"])


@pytest.mark.parametrize("name", load_study("conditioning").variants)
def test_it_trains_resumes_samples_and_mixes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert train(folder, name, 0.02) == 0
    assert train(folder, name, 0.04) == 0
    snapshot = load_snapshot(folder)
    assert snapshot.generator.settings["conditioning"] == name
    assert snapshot.info["images_seen"] == 40
    assert main(["sample", f"snapshot={folder}", "mode=grid", "seeds=0-3", f"out={tmp_path / 'grid.png'}"]) == 0
    capsys.readouterr()
    out = tmp_path / "mixing.png"
    mixing = ["sample", f"snapshot={folder}", "mode=mixing", "layers=coarse", "seeds=0", "mix_seeds=1", f"out={out}"]
    if CONDITIONINGS[name].kind == "none":
        assert "uses the latent only at its input" in refused(mixing, tmp_path, capsys)
    else:
        assert main(mixing) == 0
        assert out.exists()


def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(tmp_path: Path) -> None:
    name = "self_modulation"  # its running statistics are part of the state
    for kimg in (0.04, 0.06):
        assert train(tmp_path / "resumed", name, kimg) == 0
    assert train(tmp_path / "undisturbed", name, 0.06) == 0
    states = [torch.load(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("resumed", "undisturbed")]
    for key, tensor in states[0]["weights"].items():
        assert torch.equal(tensor, states[1]["weights"][key]), key


def test_the_average_is_saved_with_statistics_of_its_own(tmp_path: Path) -> None:
    """Statistics of G_ema's images, not copies of G's running statistics."""
    assert train(tmp_path, "batch_film", 0.1) == 0
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt")["weights"]
    norms = {k.removeprefix("G_ema."): v for k, v in state.items() if k.startswith("G_ema.") and "running" in k}
    assert not all(torch.equal(v, state[f"G.{k}"]) for k, v in norms.items())
    generator = load_snapshot(tmp_path).generator
    first = batch_statistics(generator)[0]
    seen: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    generator(torch.randn(256, 8), torch.eye(6)[torch.arange(256) % 6], noise="none")
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), first.running_mean, rtol=0.1, atol=0.05)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["generator.conditioning=cin", "data.use_labels=false"], "generator.conditioning=cin: .*data.use_labels=true"),
        (["generator.conditioning=class_batch", "data.use_labels=false"], "data.use_labels=true"),
        (["generator.conditioning=adian"], "Did you mean adain"),
        (["generator.conditioning=none", "generator.const_input=true"], "Use generator.const_input=false"),
        (["generator.conditioning=cin", "generator.const_input=true"], "Use generator.const_input=false"),
        (["generator.conditioning=batch_film", "batch_size=1"], "batch_size=1 .*at least two images"),
        (["generator.conditioning=batch_film", "batch_per_device=1"], "batch_per_device=1 .*whole batch at once"),
        (
            ["generator.conditioning=self_modulation", "batch_size=2", "trainer.accelerator=cpu", "trainer.devices=2"],
            r"batch_size=2 on 2 process\(es\) .*batch_size=4 or more",
        ),
    ],
)
def test_what_cannot_be_trained(
    overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = refused(["train", *RUN, f"output_dir={tmp_path / 'run'}", *overrides], tmp_path, capsys)
    assert re.search(message, found), found


def test_a_style_outside_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "cin", 0.02) == 0
    capsys.readouterr()
    assert "class=9" in refused(["sample", f"snapshot={tmp_path / 'run'}", "class=9"], tmp_path, capsys)
