"""Every command in a shell block of README.md and docs/ runs, page by page, in the order of the page."""

from pathlib import Path

import pytest

from stylegen.__main__ import main
from tests.support.page_commands import block_commands, in_small
from tests.support.runs import train

ROOT = Path(__file__).parents[1]


def alone(command: list[str]) -> bool:
    """Whether one process runs it; tests/training/test_ranks.py starts several."""
    return not any(setting.startswith("trainer") for setting in command)


ELSEWHERE = {  # files and verbs that other tests run in small
    "performance.md": "tests/verbs/test_bench.py",
    "experiments.md": "tests/verbs/test_experiments.py",
    "view": "tests/viewer/test_speed.py",
    "study": "tests/integration/test_study_command.py",
    "sensitivity": "tests/metrics/engine/test_degradation_table.py",
}
PAGES = {
    page.name: [
        command for command in block_commands(page.read_text()) if command[0] not in ELSEWHERE and alone(command)
    ]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if page.name not in ELSEWHERE
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny conditional run of StyleGAN2."""
    folder = tmp_path_factory.mktemp("run")
    assert train(folder, "total_kimg=0.048", "data.use_labels=true") == 0
    return folder


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize("page", [page for page, commands in PAGES.items() if commands])
def test_commands_run(page: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in PAGES[page]:
        assert main(in_small(command, run)) == 0, command


def test_the_pages_have_commands() -> None:
    verbs = {command[0] for commands in PAGES.values() for command in commands}
    assert verbs >= {"train", "sample", "evaluate", "diagnose", "prepare"}
