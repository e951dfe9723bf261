"""Tiny runs of the command `train`: start one, read its files, compare them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.__main__ import main
from tests.support.tiny import TINY_RUN

EVERY_48 = [f"{what}_every_kimg=0.048" for what in ("log", "sample", "snapshot", "checkpoint")]


def train(folder: Path, *overrides: str) -> int:
    """Trains a tiny run that logs, samples and saves every 48 images -> exit status."""
    return main(["train", *TINY_RUN, *EVERY_48, f"output_dir={folder}", *overrides])


def lines(folder: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl, without times and memory."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if not k.startswith(("time/", "memory/"))} for r in records]


def state(folder: Path) -> dict[str, Any]:
    """Weights, optimizers and clock of the last checkpoint."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {part: checkpoint[part] for part in ("weights", "optimizers", "clock")}


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    """Bit for bit, field by field."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}/{i}")
    else:
        assert a == b, where


def refused(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must fail with status 2, one line on standard error and no new file -> that line."""
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    return captured.err
