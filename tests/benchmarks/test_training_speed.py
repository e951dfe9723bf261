"""`bench what=train|memory`: counts, fields and errors; times are never compared."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.benchmarks import memory_use
from stylegen.benchmarks.memory_use import MemoryModel, step_bytes
from stylegen.benchmarks.operation_counts import LiveMemory, OperationCounts
from stylegen.benchmarks.training_setup import Subject, subjects
from stylegen.config.compose import compose_config
from stylegen.training.checkpoint_content import tensors_in
from tests.support.tiny import TINY_RUN

TINY = [
    "synthetic=8",
    "generator.mapping_layers=2",
    "compile=false",
    *(setting for setting in TINY_RUN if not setting.startswith(("data.", "batch_size"))),
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench") / "result.json"
    command = ["bench", "what=train", *TINY, "batch_size=4", "regularizers=r1_path_length", "repetitions=2"]
    assert main([*command, "vs=batch_size=8 loss=relativistic", f"out={out}"]) == 0
    loaded: dict[str, Any] = json.loads(out.read_text())
    return loaded


def test_machine_and_settings_are_recorded(measured: dict[str, Any]) -> None:
    machine = measured["machine"]
    assert machine["torch"] == torch.__version__
    assert {"cpu", "cpu_capability", "threads", "cores", "date", "commit", "memory_bytes"} <= set(machine)
    first, second = measured["measured"]
    assert (first["batch_size"], second["batch_size"]) == (4, 8)
    assert (first["settings"]["loss"]["name"], second["settings"]["loss"]["name"]) == ("nonsaturating", "relativistic")
    assert first["settings"]["generator"]["channel_base"] == second["settings"]["generator"]["channel_base"] == 128


def test_phases_are_averaged_at_their_intervals(measured: dict[str, Any]) -> None:
    result = measured["measured"][0]
    phases = {phase["name"]: phase for phase in result["phases"]}
    assert list(phases) == ["G_main", "G_path_length", "D_main", "D_r1", "rest"]
    assert [phase["interval"] for phase in phases.values()] == [1, 4, 1, 16, 1]
    assert all(len(phase["seconds"]) == 2 and min(phase["seconds"]) > 0 for phase in phases.values())
    flops = sum(phase["flops"] / phase["interval"] for phase in phases.values()) / 4
    assert result["flops_per_image"] == flops
    assert result["operations_per_step"] == sum(p["operations"] / p["interval"] for p in phases.values())
    assert result["launches_per_step"] is None, "there are no kernel launches on a CPU"
    assert result["images_per_second"]["low"] <= result["images_per_second"]["median"]
    assert sum(result["time_shares"].values()) == pytest.approx(1)


def test_two_configurations_give_a_ratio(measured: dict[str, Any]) -> None:
    assert measured["ratio"]["count"] == 2
    assert 0 < measured["ratio"]["low"] <= measured["ratio"]["median"] <= measured["ratio"]["high"]


def test_every_phase_is_measured_with_two_time_scales() -> None:
    """G's phases are due after D's steps, of which a measurement takes one."""
    with tiny_subject(["regularizers=r1_path_length", "d_steps_per_g_step=3"]) as subject:
        phases = subject.build().phases
    assert all(phase.is_due(0) for phase in phases)
    assert [(p.name, p.interval) for p in phases if p.network == "G"] == [("G_main", 3), ("G_path_length", 12)]


def test_main_phases_take_the_published_multiples_of_a_forward_pass(measured: dict[str, Any]) -> None:
    """A backward pass takes twice its forward pass: G's phase takes 3 G + 2 D (no weight gradients of D), and D's
    G + 6 D (real and generated images). Input gradients of first layers, which are not needed, are within the bound."""
    with tiny_subject(["regularizers=r1"]) as subject:
        step = subject.build()
        _, labels = subject.batch(4)
        ws = torch.randn(4, step.G.num_ws, step.G.w_dim)
        with torch.no_grad(), OperationCounts() as g:
            step.G.synthesis(ws, "none")
        with torch.no_grad(), OperationCounts() as d:
            step.D(torch.randn(4, 3, 8, 8), labels)
    phases = {phase["name"]: phase["flops"] for phase in measured["measured"][0]["phases"]}
    assert 0.9 < phases["G_main"] / (3 * g.flops.total() + 2 * d.flops.total()) < 1.1
    assert 0.9 < phases["D_main"] / (g.flops.total() + 6 * d.flops.total()) < 1.1


@contextlib.contextmanager
def tiny_subject(overrides: list[str]) -> Iterator[Subject]:
    with subjects(compose_config("bench", ["what=train", *TINY, "batch_size=8", *overrides])) as (subject,):
        yield subject


def real_peak(subject: Subject, images: int, part: int) -> int:
    """Of live tensors in the second step, with memory."""
    step, batch = subject.with_batch(images, part).build(), subject.batch(images)
    step(*batch)
    step.steps = 0
    with LiveMemory() as memory:
        moments = [t for optimizer in step.optimizers.values() for t in tensors_in(optimizer.state_dict())]
        for tensor in (*step.modules.state_dict().values(), *moments, *batch):
            memory.add(tensor)
        step(*batch)
    return memory.peak


def test_memory_of_a_step_is_known_from_shapes_and_linear_in_the_batch() -> None:
    with tiny_subject(["regularizers=r1_path_length"]) as subject:
        model = MemoryModel.of(subject)
        assert model.unit == 4, "groups of the minibatch statistics"
        assert step_bytes(subject, 4, 4) == pytest.approx(real_peak(subject, 4, 4), rel=0.01)
        for images, part in ((12, 12), (16, 8)):
            peak = real_peak(subject, images, part)
            assert model.peak(images, part) == pytest.approx(peak, rel=0.03)
        assert model.candidates(24) == [4, 8, 12, 24]
        assert model.largest_part(24, model.peak(24, 8) + 1) == 8
        assert model.largest_part(24, 1) is None
        assert model.largest_batch(model.peak(20, 20) + 1) == 20


def test_memory_with_augmentation_is_known_from_shapes_and_leaves_no_fake_tensors() -> None:
    """The margins of a warp and the adjustment of p depend on values, which shapes do not have."""
    with tiny_subject(["augment=ada", "augment.preset=bgcfnc", "augment.p=0.9", "augment.every=1"]) as subject:
        assert 0.5 < step_bytes(subject, 4, 4) / real_peak(subject, 4, 4) < 2


def test_the_memory_of_a_compiled_step_equals_the_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "true")
    with tiny_subject(["compile=true"]) as subject:
        assert subject.compiled
        compiled = step_bytes(subject, 8, 8)
    with tiny_subject([]) as subject:
        assert not subject.compiled
        assert step_bytes(subject, 8, 8) == compiled


@pytest.mark.parametrize(
    ("available", "fix"),
    [
        (1700, "Use batch_per_device=4, which gives the same training"),
        (1500, "Use smaller generator.channel_base"),
    ],
)
def test_what_does_not_fit_reports_how_much_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, available: int, fix: str
) -> None:
    monkeypatch.setattr(memory_use, "step_bytes", lambda subject, images, part: 2**20 * (1200 + 100 * part))
    monkeypatch.setattr(memory_use, "available_bytes", lambda device: 2**20 * available)
    assert main(["bench", "what=train", *TINY, "batch_size=8"]) == 2
    message = capsys.readouterr().err
    assert "8 images per step, 8 at a time, at 8 px: a training step needs 2.0 GiB, and 1." in message
    assert fix in message


def test_parts_do_not_help_if_two_gradients_do_not_fit() -> None:
    model = MemoryModel(unit=4, whole=(100.0, 10.0), parts=(500.0, 10.0), waiting=1.0)
    assert (model.peak(8, 8), model.peak(8, 4)) == (180.0, 544.0)
    assert (model.largest_part(8, 200), model.largest_part(8, 150)) == (8, None)
    assert (model.largest_batch(185), model.largest_batch(139)) == (8, 0)


def test_memory_is_predicted_and_measured(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "memory.json"
    assert main(["bench", "what=memory", *TINY, "batch_size=8", f"out={out}"]) == 0
    values = json.loads(out.read_text())
    assert set(values["predicted_bytes"]) == set(values["measured_bytes"]) == {"4", "8"}
    assert values["predicted_bytes"]["4"] < values["predicted_bytes"]["8"]
    assert values["largest_batch_per_device"] == 8
    assert values["largest_batch"] > 8
    assert "largest batch_per_device that fits, for batch_size=8: 8" in capsys.readouterr().out
