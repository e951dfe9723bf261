"""The runs of `train -m seed=0,1 regularizers.r1.gamma=1,10`: one list of overrides for each combination."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from stylegen.bounds import brief
from stylegen.config.command_line import key_of, quote_override
from stylegen.config.schema import quoted_names
from stylegen.errors import UserError

MAX_RUNS = 1000


def combinations(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of every run; with output_dir, each run gets a numbered subfolder.

    Raises:
        UserError: overrides that Hydra cannot parse, or more than 1000 combinations.
    """
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
    runs = math.prod(map(len, choices))
    if runs > MAX_RUNS:
        raise UserError(
            f"-m with {runs} combinations",
            rule=f"a sweep can have at most {MAX_RUNS} runs",
            fix="Sweep over fewer values",
        )
    found = [list(combination) for combination in itertools.product(*choices)]
    for number, overrides in enumerate(found):
        for index, override in enumerate(overrides):
            if key_of(override) == "output_dir" and runs > 1:
                root = override.partition("=")[2]
                overrides[index] = f"output_dir={Path(root) / f'{number:05d}'}"
    return found
