"""`bench what=sample|startup`: fields and commands; times are never compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from stylegen.__main__ import main
from stylegen.benchmarks import startup_time
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.errors import RunError
from tests.support.tiny import TINY_RUN, tiny_generator


def test_two_configurations_of_a_new_network(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "sample.json"
    command = ["bench", "what=sample", *TINY_RUN, "batch_sizes=[1,3]", "repetitions=2"]
    assert main([*command, "vs=generator.channel_max=16", f"out={out}"]) == 0
    values = json.loads(out.read_text())
    first, second = ({cost["batch_size"]: cost for cost in each["batches"]} for each in values["measured"])
    assert set(first) == {1, 3}
    assert first[3]["flops"] == 3 * first[1]["flops"] < second[3]["flops"]
    assert first[3]["operations"] == first[1]["operations"] > 0
    assert all(cost["images_per_second"]["median"] > 0 for cost in (*first.values(), *second.values()))
    assert set(values["ratios"]) == {"1", "3"}
    assert "images/s" in capsys.readouterr().out


def test_a_snapshot(tmp_path: Path, capsys: Any) -> None:
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    command = ["bench", "what=sample", f"snapshot={tmp_path / 'a.safetensors'}", "batch_sizes=[2]", "repetitions=1"]
    assert main(command) == 0
    assert "a.safetensors" in capsys.readouterr().out


def test_a_missing_snapshot(capsys: Any) -> None:
    for what in ("sample", "startup"):
        assert main(["bench", f"what={what}", "snapshot=nowhere"]) == 2
        assert "nowhere" in capsys.readouterr().err


def test_start_up_of_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    every = startup_time._commands(tmp_path / "a.safetensors", tmp_path)
    assert {"import torch", "stylegen --help", "train --cfg job", "sample, one image"} <= set(every)
    some = {name: every[name] for name in ("python", "stylegen --help", "sample, one image")}
    monkeypatch.setattr(startup_time, "_commands", lambda snapshot, folder: some)
    out = tmp_path / "startup.json"
    assert main(["bench", "what=startup", "repetitions=1", f"snapshot={tmp_path}/a.safetensors", f"out={out}"]) == 0
    commands = {command["command"]: command for command in json.loads(out.read_text())["commands"]}
    assert commands["python"]["modules"] < commands["stylegen --help"]["modules"]
    assert "torch" not in commands["stylegen --help"]["packages"]
    assert "torch" in commands["sample, one image"]["packages"]
    assert "sample, one image" in capsys.readouterr().out
    assert list(tmp_path.glob("image*")), "it has sampled"


def test_a_failing_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="fails with status 3: reason"):
        startup_time._run(["-c", "import sys; print('reason', file=sys.stderr); sys.exit(3)"])
    monkeypatch.setattr(startup_time, "_SECONDS", 0.01)
    with pytest.raises(RunError, match="takes more than"):
        startup_time._run(["-c", "import time; time.sleep(60)"])
