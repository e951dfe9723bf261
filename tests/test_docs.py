"""README.md and docs/ are correct: every command composes; every setting and file that they name exists."""

import re
import shlex
from pathlib import Path

import pytest

import stylegen
from stylegen.__main__ import VERBS
from stylegen.config.compose import compose_config
from stylegen.config.help import words
from stylegen.errors import UserError
from tests.support.datasets import encode, write_archive

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
COMMAND = re.compile(r"python (train\.py|sample\.py|-m stylegen [a-z]+)((?: +[\w.]+=[^\s`]*)+)")
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+)+)=")
LINK = re.compile(r"\]\(([^)#:]+)[)#]")


def commands(text: str) -> set[tuple[str, ...]]:
    """Verb and settings of commands in code blocks and sentences; lines may be wrapped."""
    found = COMMAND.finditer(re.sub(r"\s*\\?\n\s*", " ", text))
    return {(match[1].removesuffix(".py").split()[-1], *shlex.split(match[2])) for match in found}


@pytest.mark.parametrize("page", PAGES)
def test_commands_compose(page: str) -> None:
    refused = {}
    for verb, *settings in commands(PAGES[page].read_text()):
        try:  # experiment=auto reads images, which do not exist for examples
            compose_config(verb, [s for s in settings if s not in ("experiment=NAME", "experiment=auto")])
        except UserError as error:
            refused[verb, *settings] = str(error)
    assert not refused


def test_settings_exist() -> None:
    known = {word.removesuffix("=") for verb in VERBS for word in words(verb)}
    named = {(page, name) for page, path in PAGES.items() for name in SETTING.findall(path.read_text())}
    assert len(named) > 20
    assert not {(page, name) for page, name in named if name not in known}


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_exist(page: str) -> None:
    links = LINK.findall(re.sub(r"```.*?```", "", PAGES[page].read_text(), flags=re.DOTALL))
    assert not [link for link in links if not (PAGES[page].parent / link).exists()]


PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", [name for name, path in PAGES.items() if "import stylegen\n" in path.read_text()])
def test_python_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run in order, as in one session; evaluations in small."""
    monkeypatch.chdir(tmp_path)
    data = write_archive(tmp_path / "reals.zip", {f"{i}.png": encode(i, (64, 64)) for i in range(8)})
    small = {"data.path": data, "num_samples": 8, "evaluation.calibrate": False}
    evaluate = stylegen.evaluate
    monkeypatch.setattr(stylegen, "evaluate", lambda model, **settings: evaluate(model, **settings | small))
    session: dict[str, object] = {}
    for block in PYTHON.findall(PAGES[page].read_text()):
        exec(compile(block, page, "exec"), session)
    assert list(tmp_path.glob("*.png"))
