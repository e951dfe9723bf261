"""`bench what=roofline`: FLOPs and bytes from shapes equal a real step's."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from stylegen.benchmarks.operation_counts import OperationCounts
from stylegen.benchmarks.roofline import bounds
from stylegen.benchmarks.training_setup import subjects
from stylegen.config.compose import compose_config
from tests.support.tiny import TINY_RUN

TINY = [
    "synthetic=8",
    "generator.mapping_layers=2",
    *(setting for setting in TINY_RUN if not setting.startswith(("data.", "batch_size"))),
]


def test_bytes_count_arguments_and_results() -> None:
    with OperationCounts() as counts:
        torch.mm(torch.ones(2, 3), torch.ones(3, 4)).t().double()
    ones = [(0, 4 * 6), (0, 4 * 12)]
    assert counts.work == [*ones, (2 * 2 * 3 * 4, 4 * (6 + 12 + 8)), (0, 4 * 8 + 8 * 8)], "a view moves nothing"


def test_bounds_come_from_shapes(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "roofline.json"
    command = ["what=roofline", *TINY, "batch_size=4", "regularizers=r1_path_length", f"out={out}"]
    assert main(["bench", *command]) == 0
    assert "bound by" in capsys.readouterr().out
    result = json.loads(out.read_text())
    with subjects(compose_config("bench", command)) as (subject,):
        step = subject.build()
        with OperationCounts() as counts:
            step(*subject.batch(4))
        phases = bounds(subject, 4, flop_rate=1e9, byte_rate=1e8)
    assert sum(phase.flops for phase in phases) * 4 == counts.flops.total(), "of the step that is computed"
    assert [(p.name, p.flops, p.bytes) for p in phases] == [
        (p["name"], p["flops"], p["bytes"]) for p in result["phases"]
    ]
    for phase in phases:
        assert phase.compute_seconds == pytest.approx(phase.flops / 1e9)
        assert phase.memory_seconds == pytest.approx(phase.bytes / 1e8)
        least, most = max(phase.compute_seconds, phase.memory_seconds), phase.compute_seconds + phase.memory_seconds
        assert least <= phase.operation_seconds <= most
    step_flops = sum(p["flops"] / p["interval"] for p in result["phases"])
    assert result["step"]["flops"] == pytest.approx(step_flops)
