"""Errors for users: the given value, the rule that it breaks, and the fix.

A command exits with status 2 and no traceback for `UserError`, and with status 1 for failures at run time.
"""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


def printable(text: str) -> str:
    """The text on one line: control characters, line ends and surrogates as backslash escapes.

    Messages quote names and contents of files, which may hold terminal escape sequences.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(ValueError):
    """Input that cannot be used.

    Formats as ``<problem>: <rule>. <fix>`` on one line, e.g.
    ``resolution=48: must be a power of two from 8 to 2048. Use 32 or 64``.

    Args:
        problem: the value as given, with the name of the setting or file.
        rule: what is required instead, or why it is refused.
        fix: an imperative with the exact setting to use.
    """

    def __init__(self, problem: str, *, rule: str, fix: str) -> None:
        self.problem, self.rule, self.fix = problem, rule, fix
        super().__init__(printable(f"{problem}: {rule}. {fix}"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.problem, self.rule, self.fix)


def _rebuild(kind: type["UserError"], problem: str, rule: str, fix: str) -> "UserError":
    """Unpickles an error that takes keyword arguments."""
    return kind(problem, rule=rule, fix=fix)


class DamagedFile(UserError):
    """A damaged file, which another copy or an older file can replace."""


class RunError(RuntimeError):
    """A failure at run time without a traceback, such as a full disk. Commands exit with status 1."""


class Stopped(Exception):
    """A run that saved a checkpoint and stopped early, by a signal or time limit.

    Args:
        message: the progress so far, and how to resume.
        status: exit status: 128 + the number of the signal, 0 for a time limit.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.status)


def import_extra(module: str, extra: str, *, rule: str, otherwise: str = "") -> Any:
    """Imports a module of an optional dependency.

    Args:
        extra: stylegen's optional dependencies to install, such as "video".
        rule, otherwise: what the module is for, and what else can be done; for the error.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"the package {module.partition('.')[0]} is not installed",
            rule=rule,
            fix=f"Run pip install 'stylegen[{extra}]'{otherwise}",
        ) from error


def unknown_choice(setting: str, value: object, choices: Iterable[str]) -> UserError:
    """The error for a name outside a closed set; offers the nearest names first."""
    names = sorted(choices)
    near = difflib.get_close_matches(str(value), names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return UserError(
        f"{setting}={value}",
        rule=f"no such {setting.rsplit('.', 1)[-1]}",
        fix=f"{hint}Known: {', '.join(names) or 'none'}",
    )
