"""The README: complete map, self-contained set-up lines, 120 lines. tests/test_docs*.py run its commands and Python."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("end", ["python train.py", "python -m pytest"])
def test_the_two_lines_do_all_of_their_own_set_up(end: str) -> None:
    (line,) = [line for line in README.splitlines() if line.endswith(end) and "venv" in line]
    assert line.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt -e ")


def test_the_map_names_every_room() -> None:
    rooms = {p.name for p in (ROOT / "stylegen").iterdir() if p.is_dir() and p.name not in ("__pycache__", "conf")}
    block = README.split("## Map")[1].split("```")[1]
    assert not {room for room in rooms if f"{room}/" not in block}


def test_the_readme_keeps_its_budget() -> None:
    assert len(README.splitlines()) <= 120
