"""R3GAN from the command line: a run whose schedules all move, killed and resumed, and the figures of its snapshot."""

from pathlib import Path

import pytest

from stylegen.__main__ import main
from tests.support.runs import assert_equal, lines, state

RUN = [
    *("train", "experiment=cifar10_r3gan", "data=openmoji", "data.resolution=16", "data.max_images=64"),
    *("data.use_labels=true", "batch_size=8", "precision=fp32", "compile=false", "threads=1"),
    *("generator.channel_base=128", "generator.channel_max=8", "generator.z_dim=8"),
    *("discriminator.channel_base=128", "discriminator.channel_max=8", "sample_count=4", "evaluation.metrics=[]"),
    *("figures=false", "logger.mode=disabled", "log_every_kimg=0.008", "checkpoint_every_kimg=0.016"),
    *("optimizer.decay_kimg=0.04", "optimizer.beta2_kimg=0.04", "ema.ramp_kimg=0.04", "augment.p_kimg=0.04"),
    *("regularizers.r1.gamma_kimg=0.04", "regularizers.r2.gamma_kimg=0.04"),
]


def test_a_resumed_run_continues_every_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*RUN, f"output_dir={whole}", "total_kimg=0.048"]) == 0
    assert "mode=interpolation" in capsys.readouterr().out  # there are no styles to mix
    assert main([*RUN, f"output_dir={parts}", "total_kimg=0.016"]) == 0
    assert main([*RUN, f"output_dir={parts}", "total_kimg=0.048"]) == 0
    assert_equal(state(whole), state(parts))
    rows = lines(whole)
    assert rows == lines(parts)
    assert [rows[k]["lr/G"] for k in (0, -1)] == pytest.approx([2e-4, 5e-5])
    assert [rows[k]["augment/p"] for k in (0, -1)] == pytest.approx([0, 0.55])
    out = tmp_path / "grid.png"
    sample = ["sample", f"snapshot={whole}", "seeds=0-1", f"out={out}"]
    assert main([*sample, "mode=interpolation", "frames=2"]) == 0
    assert out.exists()
    assert main([*sample[:-1], f"out={tmp_path / 'mixed.png'}", "mode=mixing"]) == 2
    assert "no styles to mix" in capsys.readouterr().err
