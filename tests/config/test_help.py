"""`--help` and completion know every setting, without importing what they describe."""

import inspect
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stylegen.__main__ import VERBS, main
from stylegen.config import schema
from stylegen.config.compose import compose_config
from stylegen.config.help import COMPLETIONS, PACKAGE, SOURCES, groups, rows, words


def test_every_constructor_of_the_schema_is_described() -> None:
    described = {source for sections in SOURCES.values() for sources in sections.values() for source in sources}
    tables = [schema.VERBS, schema.SECTIONS, schema._REGULARIZERS, *schema.NAMED.values()]
    for part in (part for table in tables for parts in table.values() for part in parts):
        file = Path(inspect.getsourcefile(part.constructor) or "").relative_to(PACKAGE).as_posix()
        names = set(inspect.signature(part.constructor).parameters) - set(part.without)
        if names:
            source = f"{file}:{part.constructor.__name__}"
            assert source in described
            assert {row.name for row in rows(source)} == names, source
            assert all(row.text for row in rows(source)), source


def test_defaults_are_those_of_the_schema() -> None:
    config = compose_config("bench", [])
    assert {row.name: row.default for row in rows("config/settings.py:BenchSettings")} == {
        name: str(value).replace(" ", "") for name, value in config.items()
    }


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
    assert after.ru_utime - before.ru_utime < 1  # of the process's own time, whatever else the machine does


def test_every_option_has_a_header() -> None:
    assert all(text for options in groups().values() for text in options.values())


def test_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--complete", "train"]) == 0
    offered = capsys.readouterr().out.splitlines()
    assert {"total_kimg=", "generator.z_dim=", "experiment=auto"} <= set(offered)
    assert main(["--completion", "fish"]) == 2
    for shell, script in COMPLETIONS.items():
        assert main(["--completion", shell]) == 0
        if shutil.which(shell):
            assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0
