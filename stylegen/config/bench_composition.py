"""`bench what=train experiment=NAME batch_size=8 repetitions=20`: bench's own settings and the settings of `train`.

No name is a setting of both, so the name decides. Imports no torch.
"""

import dataclasses
import shlex
from collections.abc import Sequence

from stylegen.config.command_line import key_of
from stylegen.config.settings import BenchSettings
from stylegen.errors import UserError

TRAINS = ("train", "sample", "memory", "roofline")  # values of `what` that measure a training configuration


def gather_training(overrides: Sequence[str]) -> list[str]:
    """The overrides of `bench`, with settings of `train` moved into set="..."."""
    own = {field.name for field in dataclasses.fields(BenchSettings)}
    what = [override.partition("=")[2] for override in overrides if key_of(override) == "what"]
    if not what or what[-1] not in TRAINS:
        return list(overrides)
    mine = [override for override in overrides if key_of(override) in own]
    theirs = [override for override in overrides if key_of(override) not in own]
    if not theirs:
        return mine
    given = [split_overrides("set", override.partition("=")[2]) for override in mine if key_of(override) == "set"]
    rest = [override for override in mine if key_of(override) != "set"]
    return [*rest, f"set={shlex.join([*(given[-1] if given else []), *theirs])}"]


def split_overrides(name: str, text: str) -> list[str]:
    """The overrides in the value of the setting `name`, separated by spaces; quotes protect spaces.

    Raises:
        UserError: a quote without its partner.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{name}={text}", rule="quotes must come in pairs", fix="Close or remove the quote") from error
