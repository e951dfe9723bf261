"""`train -m seed=0,1 regularizers.r1.gamma=1,10`: one run after the other, and a table at the end."""

import subprocess
import sys
from collections.abc import Sequence

from stylegen.config.combinations import combinations
from stylegen.config.compose import check_complete
from stylegen.config.train_composition import compose_train
from stylegen.errors import UserError

FLAGS = ("-m", "--multirun")
_INSTEAD = {
    "sample": "sample takes several seeds: seeds=0-15,40",
    "evaluate": "evaluate takes several snapshots: snapshot=A,B or a pattern",
    "study": "a study is a sweep: name its variants in a file of conf/study",
}


def run_sweep(verb: str, arguments: Sequence[str]) -> int:
    """Train every combination in its own process, and return the exit status: 0, or the first failure's.

    Each run has a numbered folder under runs/ or output_dir; with output_dir, the same command resumes the runs.

    Raises:
        UserError: another verb, or a combination that cannot be composed, before the first run starts.
    """
    if verb != "train":
        fix = _INSTEAD.get(verb, "Run the command once for each value")
        raise UserError(f"-m with {verb}", rule="only train sweeps over settings", fix=fix[0].upper() + fix[1:])
    runs = combinations(arguments)
    for overrides in runs:
        check_complete(compose_train(overrides))
    rows, status = [], 0
    for number, (overrides, varied) in enumerate(zip(runs, _varied(runs), strict=True)):
        print(f"{number + 1}/{len(runs)}  {' '.join(varied)}", file=sys.stderr)
        done = subprocess.run([sys.executable, "-m", "stylegen", verb, *overrides], stdout=subprocess.PIPE, text=True)
        facts = [
            line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith(("run ", "metrics "))
        ]
        rows.append([str(number), " ".join(varied), *(facts or [f"status {done.returncode}"])])
        status = status or done.returncode
        if done.returncode < 0 or done.returncode >= 128:  # a signal ends the whole sweep
            status = done.returncode if done.returncode > 0 else 128 - done.returncode
            break
    print(_table(rows))
    return status


def _varied(runs: list[list[str]]) -> list[list[str]]:
    """The overrides of each run that are not common to all."""
    shared = set(runs[0]).intersection(*runs)
    ours = [[o for o in overrides if o not in shared] for overrides in runs]
    return [[o for o in overrides if not o.startswith("output_dir=")] for overrides in ours]


def _table(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    )
