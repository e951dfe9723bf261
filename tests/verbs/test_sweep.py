"""`-m`: every combination is a separate run."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stylegen.__main__ import main
from stylegen.config.combinations import combinations
from tests.support.datasets import encode, write_folder
from tests.support.tiny import TINY_RUN


def testcombinations() -> None:
    assert combinations(["seed=0,1", "a.b=choice(x,y)", "total_kimg=1", "init=a,b"]) == [
        [f"seed={seed}", f"a.b={value}", "total_kimg=1", "init=a,b"] for seed in (0, 1) for value in "xy"
    ]
    assert combinations(["seed=range(0,2)", "output_dir=~/a b"]) == [
        ["seed=0", "output_dir=~/a b/00000"],
        ["seed=1", "output_dir=~/a b/00001"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "-m", "seeds=0,1"], "Sample takes several seeds"),
        (["train", "-m", "seed=0,1", "--cfg", "job"], "-m with --cfg job"),
        (["train", "-m", "seed=0,-1"], "seed=-1: must be an integer from 0"),
        (
            ["train", "-m", "seed=range(0,100)", "batch_size=range(1,100)"],
            "9900 combinations: a sweep can have at most 1000",
        ),
        (["train", "-m", "seed=0,1", "data={a"], "data={a"),
    ],
)
def test_what_cannot_be_swept(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def in_this_process(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of the command `stylegen`, but in this process."""
    assert command[:3] == [sys.executable, "-m", "stylegen"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main(command[3:])
    return subprocess.CompletedProcess(command, status, out.getvalue())


def test_a_sweep_accepts_what_train_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the user's own images, train chooses ADA, so its settings exist."""
    data, started = write_folder(tmp_path / "mine", {f"{i}.png": encode(i, (16, 16)) for i in range(3)}), []

    def start(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        started.append(command[4:])
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", start)
    overrides = [f"data.path={data}", "augment.target=0.5"]
    assert main(["train", "-m", *overrides, "seed=0,1"]) == 0
    assert started == [[*overrides, f"seed={seed}"] for seed in (0, 1)]


def test_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(subprocess, "run", in_this_process)
    arguments = [*TINY_RUN, "total_kimg=0.008", "logger.mode=disabled", "seed=0,1", f"output_dir={tmp_path}"]
    assert main(["train", "--multirun", *arguments]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.split()[:3] == ["0", "seed=0", str(tmp_path / "00000")]
    assert second.split()[:3] == ["1", "seed=1", str(tmp_path / "00001")]
    for number in (0, 1):
        lines = (tmp_path / f"{number:05d}" / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["kimg"] == 0.008
