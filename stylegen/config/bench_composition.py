"""`bench what=train experiment=NAME batch_size=8 repetitions=20`: bench's own settings and those of `train`.

No name is a setting of both, so the name decides. Imports no torch.
"""

import dataclasses
import shlex
from collections.abc import Sequence

from stylegen.config.command_line import key_of
from stylegen.config.settings import BenchSettings

TRAINS = ("train", "sample", "memory", "roofline")  # values of `what` that measure a training configuration


def gather_training(overrides: Sequence[str]) -> list[str]:
    """The overrides of `bench`: those of `train` are moved into set="..."."""
    own = {field.name for field in dataclasses.fields(BenchSettings)}
    what = [override.partition("=")[2] for override in overrides if key_of(override) == "what"]
    if not what or what[-1] not in TRAINS:
        return list(overrides)
    mine = [override for override in overrides if key_of(override) in own]
    theirs = [override for override in overrides if key_of(override) not in own]
    if not theirs:
        return mine
    given = [shlex.split(override.partition("=")[2]) for override in mine if key_of(override) == "set"]
    rest = [override for override in mine if key_of(override) != "set"]
    return [*rest, f"set={shlex.join([*(given[-1] if given else []), *theirs])}"]
