"""Steps with non-finite gradients are skipped; after several in a row the run goes back, or gives up."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen.__main__ import main
from stylegen.config.compose import compose_config
from stylegen.errors import RunError
from stylegen.runs.recovery import explained_memory_errors
from stylegen.training.phases import Phase
from stylegen.training.random_inputs import InputSpec, KeyedRandomInputs, PhaseInputs
from stylegen.training.step import TrainingStep
from tests.support.runs import assert_equal, lines, state
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "total_kimg=0.4", "log_every_kimg=0.08", "checkpoint_every_kimg=0.08", "bad_steps=6"]
RUN += ["sample_every_kimg=0", "snapshot_every_kimg=0", "logger.mode=disabled"]


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.",
    ],
)
def test_memory_errors_of_libraries_are_explained(text: str) -> None:
    settings, step = compose_config("train", TINY_RUN), SimpleNamespace(growth=None)
    with pytest.raises(RunError, match="out of memory with 8 image"), explained_memory_errors(settings, lambda: step):
        raise RuntimeError(text)


def plant(monkeypatch: pytest.MonkeyPatch, bad: Callable[[KeyedRandomInputs, Tensor], Tensor]) -> None:
    """NaN latents for the images selected by `bad`, the same in every replay."""
    generate = KeyedRandomInputs.generate

    def planted(self: KeyedRandomInputs, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        found = generate(self, phase, indices, spec)
        if found.synthesis is None:
            return found
        z = torch.where(bad(self, indices[: spec.generated])[:, None], torch.nan, found.synthesis.z)
        return found._replace(synthesis=found.synthesis._replace(z=z))

    monkeypatch.setattr(KeyedRandomInputs, "generate", planted)


def train(folder: Path, *overrides: str) -> int:
    return main(["train", *RUN, f"output_dir={folder}", *overrides])


def test_one_bad_step_is_skipped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, lambda random_inputs, indices: indices == 203)
    kept = []
    run = TrainingStep._run

    def watched(self: TrainingStep, number: int, phase: Phase, *arguments: Any) -> None:
        network = getattr(self, phase.network)
        before = [p.detach().clone() for p in network.parameters()]
        run(self, number, phase, *arguments)
        if self.images_seen == 200:
            kept.append(all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)))

    monkeypatch.setattr(TrainingStep, "_run", watched)
    assert train(tmp_path) == 0
    assert kept == [True, True]  # G_main, D_main
    counted = [line["grad/nonfinite"] for line in lines(tmp_path)]
    assert [count > 0 for count in counted] == [False, False, True, False, False]
    final = state(tmp_path)
    assert final["clock"]["attempt"] == 0
    assert all(t.isfinite().all() for t in final["weights"].values())


def test_a_row_of_bad_steps_sends_the_run_back_on_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, lambda random_inputs, indices: (indices >= 200) & (random_inputs.attempt == 0))
    assert train(tmp_path / "whole") == 0
    message = "warning: 6 steps in a row without finite gradients up to 0.256 kimg; going back to 0.16 kimg"
    assert message in capsys.readouterr().err
    final = state(tmp_path / "whole")
    assert final["clock"] == {"images_seen": 400, "steps": 50, "attempt": 1, "streaks": [0.0, 0.0, 0.0]}
    assert [line["kimg"] for line in lines(tmp_path / "whole")] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])
    assert not any(line["grad/nonfinite"] for line in lines(tmp_path / "whole"))
    # A run that stops after going back also continues exactly.
    assert train(tmp_path / "parts", "total_kimg=0.32") == 0
    assert train(tmp_path / "parts") == 0
    assert_equal(state(tmp_path / "parts"), final)


def test_a_run_without_a_checkpoint_goes_back_to_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, lambda random_inputs, indices: indices >= 8 if random_inputs.attempt == 0 else indices < 0)
    assert train(tmp_path, "total_kimg=0.16") == 0
    assert "going back to 0 kimg" in capsys.readouterr().err
    assert [line["kimg"] for line in lines(tmp_path)] == pytest.approx([0.08, 0.16])


def test_a_run_that_goes_on_in_another_folder_goes_back_to_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "first", "total_kimg=0.16") == 0
    plant(monkeypatch, lambda random_inputs, indices: (indices >= 160) & (random_inputs.attempt == 0))
    assert train(tmp_path / "second", f"resume={tmp_path / 'first'}", "total_kimg=0.28") == 0
    assert "going back to 0.16 kimg" in capsys.readouterr().err
    assert state(tmp_path / "second")["clock"]["images_seen"] == 280


def test_a_signal_is_heard_though_the_run_diverges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The signal arrives in the step that detects divergence, at 0.256 kimg."""

    def bad(random_inputs: KeyedRandomInputs, indices: Tensor) -> Tensor:
        if 255 in indices:
            os.kill(os.getpid(), signal.SIGTERM)
        return indices >= 200

    plant(monkeypatch, bad)
    assert train(tmp_path) == 128 + signal.SIGTERM
    assert "stopped at 0.256 kimg" in capfd.readouterr().err.splitlines()[-1]
    monkeypatch.undo()
    assert train(tmp_path) == 0


def test_a_run_that_always_diverges_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, lambda random_inputs, indices: indices >= 200)
    assert train(tmp_path, "attempts=2") == 1
    error = capsys.readouterr().err
    assert error.count("going back to 0.16 kimg") == 2
    assert "the training diverges" in error.splitlines()[-1]
    assert "Traceback" not in error
    assert train(tmp_path, "attempts=2") == 1  # no attempts are left, also when the command is repeated
    assert "going back" not in capsys.readouterr().err


def test_out_of_memory_names_the_batch_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(KeyedRandomInputs, "generate", full)
    assert train(tmp_path) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "out of memory with 8 image(s) at a time per device (batch_size=8)" in message
    assert all(setting in message for setting in ("batch_per_device=4", "precision=bf16", "generator.channel_base"))
