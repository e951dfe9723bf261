"""Settings and their bounds, declared where they are used. Imports no torch.

A constructor annotates its arguments: `gamma: Annotated[float, Range(0, 1e6)] = 10.0`. A settings dataclass has one row
for each setting: `total_kimg: Kimg = setting(25000.0, help="length of the run", resume="free")`. `check` refuses a
value before anything is built from it.
"""

import dataclasses
import functools
import inspect
import math
import os
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from stylegen.errors import UserError, printable, unknown_choice

REQUIRED = "???"  # the default of a setting that must be given, in Hydra's spelling
MAX_TEXT = 4096  # characters
MAX_NAME = 255  # bytes in one part of a path, on every common file system
MAX_PATH = 4096 - 256  # bytes, with room for the names of a run's files below it


@dataclass(frozen=True)
class Range:
    """Bounds of a number; for a list, of each number in it.

    Args:
        least, most: the bounds.
        above: exclude `least`.
        below: exclude `most`.
        count: minimum and maximum length of a list.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False
    count: tuple[int, int] = (1, 64)

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        return low and (value < self.most if self.below else value <= self.most)  # NaN fails both

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'from'} {_exact(self.least)}"
        return f"{low} to {'below ' if self.below else ''}{_exact(self.most)}"


def _exact(bound: float) -> str:
    """A bound in digits, or as a power of two if it has more than 12."""
    if isinstance(bound, float) or abs(bound) < 10**12:
        return f"{bound:.12g}"
    power = bound.bit_length()
    return {1 << (power - 1): f"2^{power - 1}", (1 << power) - 1: f"2^{power} - 1"}.get(bound, str(bound))


@dataclass(frozen=True)
class Names:
    """Bounds on the number of names in a list."""

    count: tuple[int, int] = (0, 1024)


@dataclass(frozen=True)
class Choice:
    """Marks a string as one of these names."""

    names: tuple[str, ...]


class Auto:
    """Marks a number in place of which "auto" may be given."""


class NonzeroSum:
    """Marks a list of numbers that are divided by their sum."""


class PathRule:
    """Marks a string as the path of a file or folder, which implies `Quoted`."""


class Quoted:
    """Marks a string that is quoted before Hydra parses it: `seeds=0-15,40`."""


class Free:
    """Marks a setting that may change when a run is resumed."""


def setting(
    default: Any = dataclasses.MISSING, *marks: Any, help: str, resume: str = "fixed", quoted: bool = False
) -> Any:
    """A field of a settings dataclass: everything about one setting in one row.

    Args:
        default: a list is copied for each instance.
        marks: bounds, in addition to those in the annotation.
        help: one line for `--help`.
        resume: "free" if a resumed run may change it, else "fixed".
        quoted: values contain characters of Hydra's grammar; paths are always quoted.
    """
    marks = (*marks, *[Free()] * (resume == "free"), *[Quoted()] * quoted)
    metadata = {"marks": marks, "help": help}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


FilePath = Annotated[str, PathRule()]
SEED_SOURCES = ("stylegen", "numpy")  # of z from seeds
MOTIONS = ("none", "circle", "rotate")  # of the frames of a video
DEVICES = ("auto", "cpu", "cuda", "mps")
Device = Annotated[str, Choice(DEVICES)]
Share = Annotated[float, Range(0, 1)]
Kimg = Annotated[float, Range(0, 1e7)]  # 1e10 images: 400 times StyleGAN's training
Seed = Annotated[int, Range(0, 2**63 - 1)]
Count = Annotated[int, Range(1, 65536)]
Width = Annotated[int, Range(1, 16384)]
Depth = Annotated[int, Range(0, 64)]
RateFactor = Annotated[float, Range(1e-6, 1000)]
Resolution = Annotated[int, Range(4, 4096)]
Taps = Annotated[Sequence[float], Range(-1000, 1000), NonzeroSum()]
Interval = Annotated[int, Range(1, 10**6)]
Weight = Annotated[float, Range(0, 1e6)]
Deviation = Annotated[float, Range(0, 10)]  # of logarithms, shares or gray values
ChannelBase = Annotated[int, Range(1, 2**22)]
Clamp = Annotated[float, Range(0, 1e9, above=True)]
Logit = Annotated[float, Range(-1000, 1000)]
DropoutRates = Annotated[Sequence[float], Range(0, 1, below=True, count=(0, 9))]
PerStage = Annotated[Sequence[int], Range(1, 16384, count=(0, 16))]  # one number for each resolution


@functools.cache
def hints_of(constructor: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Argument -> annotation with its bounds, of a class or function, except those in `without`."""
    target = constructor.__init__ if inspect.isclass(constructor) else constructor
    hints = typing.get_type_hints(target, include_extras=True)
    fields = dataclasses.fields(constructor) if dataclasses.is_dataclass(constructor) else ()
    for field in fields:
        if marks := field.metadata.get("marks"):
            hints[field.name] = Annotated[(hints[field.name], *marks)]
    return {name: hints[name] for name in inspect.signature(constructor).parameters if name not in without}


def unwrap(hint: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """An annotation as (bare type, whether None is allowed, its bounds)."""
    optional, marks = False, ()
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            hint, marks = arguments[0], (*marks, *arguments[1:])
        elif origin in (typing.Union, types.UnionType) and type(None) in arguments:
            rest = [argument for argument in arguments if argument is not type(None)]
            optional, hint = True, rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]  # noqa: UP007
        else:
            return hint, optional, marks


def check(key: str, value: Any, hint: Any) -> None:
    """Raise UserError unless `value` has the type of the annotation `hint` and is within its bounds.

    Args:
        key: dotted name of the setting, for the message.
    """
    kind, optional, marks = unwrap(hint)
    if value is None:
        if not optional:
            raise UserError(f"{key}=null", rule="must not be null", fix=f"Omit {key} for the default")
        return
    rule = _broken_rule(value, kind, marks)
    choice = next((mark for mark in marks if isinstance(mark, Choice)), None)
    given = brief(value) if isinstance(value, bool) else value
    if rule is None and choice is not None and given not in choice.names:
        raise unknown_choice(key, brief(value), choice.names)
    if rule is not None:
        ranged = any(isinstance(mark, Range) and str(mark) in rule for mark in marks)
        use = "Use a value in this range" if ranged else "Change it"
        raise UserError(f"{key}={brief(value)}", rule=rule, fix=f"{use}, or omit {key} for the default")


def check_arguments(section: str, constructor: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """`check` every argument of `constructor` that is in `values`; a constructor passes its own `locals()`.

    Args:
        section: prefix of the settings' names in messages, such as "loss".
    """
    for name, hint in hints_of(constructor).items():
        if name in values:
            check(f"{section}.{name}", values[name], hint)


def brief(value: Any, length: int = 60) -> str:
    """The value as typed on the command line, on one line of at most `length` characters."""
    try:
        text = str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
    except ValueError:  # Python cannot print an integer of more than 4,300 digits
        text = f"a number of {value.bit_length() * math.log10(2):.0f} digits"
    text = printable(text[: length + 1])
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _broken_rule(value: Any, kind: Any, marks: tuple[Any, ...]) -> str | None:
    """The rule that a value (not None) breaks, for the error message; None if it is valid."""
    limits = next((mark for mark in marks if isinstance(mark, Range)), None)
    if any(isinstance(mark, Auto) for mark in marks):
        rule = None if value == "auto" else _broken_rule(value, int, tuple(m for m in marks if not isinstance(m, Auto)))
        return rule and rule.replace("must be ", "must be auto or ", 1)
    if typing.get_origin(kind) in (list, tuple, Sequence, typing.get_origin(Sequence[int])):
        return _list_rule(value, typing.get_args(kind)[0], marks)
    if isinstance(value, bool) and bool in typing.get_args(kind):  # one choice of several
        return None
    if kind is bool:
        return None if isinstance(value, bool) else "must be true or false"
    if kind in (int, float):
        what = "an integer" if kind is int else "a number"
        named = f"must be {what} {limits}" if limits else f"must be {what}"
        good = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        return None if good and (value in limits if limits else abs(value) < math.inf) else named
    if kind is str or kind is Path or str in typing.get_args(kind):
        is_path = any(isinstance(mark, PathRule) for mark in marks)
        return _text_rule(str(value), is_path) if isinstance(value, str | Path) else "must be a string"
    return None


def _list_rule(value: Any, kind: Any, marks: tuple[Any, ...]) -> str | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return "must be a list, as in [1,2]"
    least, most = next((mark.count for mark in marks if isinstance(mark, Range | Names)), (0, 1024))
    if not least <= len(value) <= most:
        counts = f"{least} to {most}" if least < most else f"{least}"
        return f"must be a list of {counts} values, not {len(value)}"
    rules = (_broken_rule(item, kind, marks) for item in value)
    rule = next((f"each value {rule}" if rule[:4] == "must" else rule for rule in rules if rule is not None), None)
    if rule is None and any(isinstance(mark, NonzeroSum) for mark in marks):
        cancels = abs(sum(value)) <= 1e-6 * sum(map(abs, value))
        return "must have a sum other than 0" if cancels else None
    return rule


def _text_rule(text: str, is_path: bool) -> str | None:
    if not is_path and len(text) > MAX_TEXT:
        return f"must be a string of at most {MAX_TEXT} characters, not {len(text)}"
    if re.search(r"[\x00-\x1f\x7f-\x9f]", text):
        return "must not contain control characters"
    if not is_path:
        return None
    if not text.strip():
        return "must be the path of a file or folder, not an empty string"
    is_url = text.startswith(("http://", "https://"))
    if not is_url and any(len(part.encode(errors="surrogateescape")) > MAX_NAME for part in text.split("/")):
        return f"must have at most {MAX_NAME} bytes in each name of the path"
    if len(os.fsencode(text)) > MAX_PATH:
        return f"must be a path of at most {MAX_PATH} bytes"
    if text.startswith("~"):
        try:
            Path(text).expanduser()
        except RuntimeError:
            return f"there is no user {text.split('/')[0][1:]}"
    return None
