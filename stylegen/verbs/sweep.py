"""`train -m seed=0,1 regularizers.r1.gamma=1,10`: one ordinary run after the other, and a table at the end."""

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from stylegen.bounds import brief
from stylegen.config.command_line import key_of, quote_override
from stylegen.config.compose import check_complete, compose_config
from stylegen.config.schema import quoted_names
from stylegen.errors import UserError

FLAGS = ("-m", "--multirun")
MAX_RUNS = 1000
_INSTEAD = {
    "sample": "sample takes several seeds: seeds=0-15,40",
    "evaluate": "evaluate takes several snapshots: snapshot=A,B or a pattern",
    "study": "a study is a sweep: name its variants in a file of conf/study",
}


def run_sweep(verb: str, arguments: Sequence[str]) -> int:
    """Train every combination, each in a process of its own -> exit status: 0, or the first failure's.

    Without output_dir each run has a numbered folder under runs/; with it, its number's folder in there, so that the
    same command continues.

    Raises:
        UserError: another verb, or any combination that cannot be composed; before the first run begins.
    """
    if verb != "train":
        fix = _INSTEAD.get(verb, "Run the command once for each value")
        raise UserError(f"-m with {verb}", rule="only train sweeps over settings", fix=fix[0].upper() + fix[1:])
    combinations = _combinations(arguments)
    for overrides in combinations:
        check_complete(compose_config("train", overrides))
    rows, status = [], 0
    for number, (overrides, varied) in enumerate(zip(combinations, _varied(combinations), strict=True)):
        print(f"{number + 1}/{len(combinations)}  {' '.join(varied)}", file=sys.stderr)
        done = subprocess.run([sys.executable, "-m", "stylegen", verb, *overrides], stdout=subprocess.PIPE, text=True)
        facts = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith(("run ", "score "))]
        rows.append([str(number), " ".join(varied), *(facts or [f"status {done.returncode}"])])
        status = status or done.returncode
        if done.returncode < 0 or done.returncode >= 128:  # stopped by a signal: the rest is not wanted either
            status = done.returncode if done.returncode > 0 else 128 - done.returncode
            break
    print(_table(rows))
    return status


def _combinations(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of every run."""
    try:
        parsed = OverridesParser.create().parse_overrides([quote_override(a, quoted_names("train")) for a in arguments])
    except HydraException as error:
        problem = " ".join(arguments)
        raise UserError(brief(problem, 80), rule=brief(error, 200), fix="Use setting=VALUE,VALUE,...") from error
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [typed]
        for override, typed in zip(parsed, arguments, strict=True)
    ]
    runs = 1
    for found in choices:
        runs *= len(found)
    if runs > MAX_RUNS:
        raise UserError(
            f"-m with {runs} combinations", rule=f"a sweep has at most {MAX_RUNS} runs", fix="Sweep over fewer values"
        )
    combinations = [list(combination) for combination in itertools.product(*choices)]
    for number, overrides in enumerate(combinations):
        for index, override in enumerate(overrides):
            if key_of(override) == "output_dir" and runs > 1:
                root = override.partition("=")[2]
                overrides[index] = f"output_dir={Path(root) / f'{number:05d}'}"
    return combinations


def _varied(combinations: list[list[str]]) -> list[list[str]]:
    """Of each run, the overrides that the others do not all have."""
    shared = set(combinations[0]).intersection(*combinations)
    ours = [[o for o in overrides if o not in shared] for overrides in combinations]
    return [[o for o in overrides if not o.startswith("output_dir=")] for overrides in ours]


def _table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    )
