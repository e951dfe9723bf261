"""`--help` and completion list every setting without importing torch or the classes they describe."""

import dataclasses
import resource
import shutil
import subprocess
import sys
from typing import Any

import pytest

from stylegen.__main__ import VERBS, main
from stylegen.config import schema
from stylegen.config.help import COMPLETIONS, groups, words
from stylegen.config.help_rows import sections
from stylegen.config.sections import settings_of


def expected_sections(verb: str) -> dict[str, dict[str, Any]]:
    """Title -> setting -> (annotation, default), from the dataclasses and constructors."""
    found = {"": settings_of((schema.root_of(verb),))}
    for group, section in schema.groups_of(verb).items():
        title = "{}. ({})" if section.kind == "choice" else "{}.{}."
        found[f"{group}."] = settings_of(section.parts, section.without)
        for name, option in section.options.items():
            found[title.format(group, name)] = settings_of((option,), section.without)
    return {title: settings for title, settings in found.items() if settings}


@pytest.mark.parametrize("verb", VERBS)
def test_every_setting_is_described_with_its_default(verb: str) -> None:
    found, expected = sections(verb), expected_sections(verb)
    assert list(found) == list(expected)
    for title, settings in expected.items():
        assert {row.name for row in found[title]} == set(settings), title
        for row in found[title]:
            assert row.text, (title, row.name)
            assert row.default == written(settings[row.name][1]), (title, row.name)


def written(default: Any) -> str:
    """A default in the format of `--help`."""
    if default is dataclasses.MISSING or default == "???":
        return "(required)"
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    items = default if isinstance(default, list | tuple) else None
    return str(default) if items is None else f"[{','.join(map(str, items))}]"


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"{word.partition('=')[0]}=" in text for word in words(verb))
    assert max(map(len, text.splitlines())) < 200


def test_help_of_a_verb_is_fast_and_imports_no_torch() -> None:
    slow = "{'torch', 'hydra', 'omegaconf', 'lightning', 'numpy'} & set(sys.modules)"
    code = f"import sys, stylegen.__main__ as m; m.main(['train', '--help']); sys.exit(str({slow} or '') or 0)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "experiment=openmoji" in done.stdout
    assert after.ru_utime - before.ru_utime < 1  # CPU time of the process, independent of other load


def test_every_option_has_a_header() -> None:
    """A sentence, also over several lines of the header, without the command that precedes it."""
    found = groups()
    assert all(text for options in found.values() for text in options.values())
    assert not [text for text in found["experiment"].values() if "python " in text]
    assert found["evaluation"]["fid50k_full"].endswith("unmirrored, covariances divided by N.")


def test_help_names_the_verb_and_types_null(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--help"]) == 0
    assert capsys.readouterr().out.startswith("stylegen diagnose: report problems of a run")
    texts = [row.text for verb in VERBS for rows in sections(verb).values() for row in rows]
    assert not [text for text in texts if "None" in text]


def test_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--complete", "train"]) == 0
    offered = capsys.readouterr().out.splitlines()
    assert {"total_kimg=", "generator.z_dim=", "experiment=auto"} <= set(offered)
    assert main(["--completion", "fish"]) == 2
    for shell, script in COMPLETIONS.items():
        assert main(["--completion", shell]) == 0
        if shutil.which(shell):
            assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0
