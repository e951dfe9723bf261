"""The README is correct: its commands run (scaled down), its map is complete, its set-up lines are self-contained."""

import re
import shlex
from pathlib import Path

import pytest

from stylegen.__main__ import main
from tests.support.tiny import TINY_RUN

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SET_UP = ("python train.py", "python -m pytest")


def commands() -> list[list[str]]:
    """Every command of every bash block except the two set-up lines, as arguments of `stylegen`."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL):
        for line in block.strip().splitlines():
            if "venv" in line:
                continue
            words = shlex.split(line)
            assert words[0] == "python", line
            found.append(words[3:] if words[1] == "-m" else [Path(words[1]).stem, *words[2:]])
    return found


def in_small(arguments: list[str]) -> list[str]:
    """The same command with a tiny network and few images, so that it takes seconds."""
    small = [a for a in arguments if not a.startswith(("total_kimg=", "num_samples="))]
    if arguments[0] == "train":
        small += [*TINY_RUN, "total_kimg=0.016"]
    if arguments[0] == "evaluate":
        small += ["num_samples=32", "evaluation.calibrate=false"]
    return small


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert {c[0] for c in found} >= {"train", "sample", "evaluate"}
    for arguments in found:
        assert main(in_small(arguments)) == 0, arguments
    assert list((tmp_path / "runs" / "portraits" / "sampled").glob("*-mixing-*.png"))


@pytest.mark.parametrize("end", SET_UP)
def test_the_two_lines_do_all_of_their_own_set_up(end: str) -> None:
    (line,) = [line for line in README.splitlines() if line.endswith(end) and "venv" in line]
    assert line.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt -e ")


def test_the_map_names_every_room() -> None:
    rooms = {p.name for p in (ROOT / "stylegen").iterdir() if p.is_dir() and p.name not in ("__pycache__", "conf")}
    block = README.split("## Map")[1].split("```")[1]
    assert not {room for room in rooms if room not in block}


def test_the_readme_keeps_its_budget() -> None:
    assert len(README.splitlines()) <= 250
