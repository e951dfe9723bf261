"""The settings of a verb, read from the source of settings dataclasses and constructors without importing them.

Importing what `train` builds takes seconds; parsing its source takes milliseconds. tests/config/test_help.py
compares the rows with `stylegen.config.sections`.
"""

import ast
import collections.abc
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from stylegen import bounds
from stylegen.config.settings import ROOTS

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """One setting: its name without prefix, type and bounds, default as written, help."""

    name: str
    kind: str
    default: str
    text: str


class Source(NamedTuple):
    """A class or function of the package; its arguments are settings, except those in `without`."""

    file: str
    name: str
    without: tuple[str, ...] = ()


@cache
def sections(verb: str) -> dict[str, list[Row]]:
    """Prefix of settings, with an option in parentheses ("augment. (ada)") -> rows; "" for rows without a prefix."""
    module, _, name = ROOTS[verb].partition(":")
    root = Source(_file(module), name)
    found = {"": rows(root)}
    for field, _, call in _arguments(_find(root)):
        kind, options, parts = _section(root.file, call)
        if kind in ("group", "choice", "several"):
            found[f"{field}."] = [row for part in parts for row in rows(part)]
            title = "{}. ({})" if kind == "choice" else "{}.{}."
            found |= {title.format(field, option): rows(source) for option, source in options.items()}
    return {title: listed for title, listed in found.items() if listed}


def rows(source: Source) -> list[Row]:
    """The settings of a class or function, including inline sections."""
    node, file = _find(source), source.file
    bases = [_resolve(file, ast.unparse(base)) for base in getattr(node, "bases", [])]
    inherited = [base._replace(without=source.without) for base in bases if base and _find(base).decorator_list]
    found = [row for base in inherited for row in rows(base)]  # of dataclasses
    texts = _descriptions(node, _tree(file))
    for argument, annotation, default in _arguments(node):
        if argument in source.without:
            continue
        call, _, parts = _section(file, default)
        if call == "inline":
            found += [row for part in parts for row in rows(part)]
        elif isinstance(default, ast.Call) and call == "setting":
            text = next(_value(word.value, file) for word in default.keywords if word.arg == "help")
            given = default.args[0] if default.args else None
            found.append(Row(argument, _kind(annotation, default.args[1:], file), _default(given, file), text))
        elif argument != "self" and call not in ("group", "choice", "several"):
            text = texts.get(argument, "")
            elsewhere = re.match(r"see `([A-Z]\w+)`", text)
            home = _resolve(file, elsewhere[1]) if elsewhere else None
            text = _descriptions(_find(home), _tree(home.file)).get(argument, text) if home else text
            found.append(Row(argument, _kind(annotation, [], file), _default(default, file), text))
    return found


def _section(file: str, node: ast.expr | None) -> tuple[str, dict[str, Source], list[Source]]:
    """A default that may call `stylegen.config.sections` -> the called name, the options of its table, its parts."""
    kind = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call) or kind not in ("group", "inline", "choice", "several"):
        return kind, {}, []
    without = next((_value(word.value, file) for word in node.keywords if word.arg == "without"), ())
    table, *parts = [ast.unparse(argument) for argument in node.args]
    if kind in ("group", "inline"):
        return kind, {}, [Source(*home[:2], without) for name in (table, *parts) if (home := _resolve(file, name))]
    options = {name: Source(*made[:2], without) for name, made in _table(file, table).items()}
    return kind, options, [home for name in parts if (home := _resolve(file, name))]


def _table(file: str, name: str) -> dict[str, Source]:
    """Constructors by name in a table that `file` imports, such as `LOSSES`."""
    home = _resolve(file, name)
    assert home is not None
    assignments = (n for n in _tree(home.file).body if isinstance(n, ast.AnnAssign | ast.Assign))
    value = next(node.value for node in assignments if _target(node) == home.name)
    assert isinstance(value, ast.Dict)
    pairs = zip(value.keys, value.values, strict=True)
    sources = {ast.literal_eval(key): _resolve(home.file, ast.unparse(node)) for key, node in pairs if key}
    return {key: source for key, source in sources.items() if source is not None}


def _resolve(file: str, name: str) -> Source | None:
    """The definition of a name in `file`; None if it is not in the package."""
    for node in _tree(file).body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else []:
            if (alias.asname or alias.name) == name:
                module = getattr(node, "module", "")
                return _resolve(_file(module), alias.name) if module.startswith("stylegen.") else None
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return Source(file, name)
        if isinstance(node, ast.Assign | ast.AnnAssign) and _target(node) == name:
            return Source(file, name)
    return None


def _target(node: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])


def _file(module: str) -> str:
    path = module.removeprefix("stylegen.").replace(".", "/")
    return f"{path}/__init__.py" if (PACKAGE / path).is_dir() else f"{path}.py"


def _find(source: Source) -> ast.ClassDef | ast.FunctionDef:
    found = (n for n in _tree(source.file).body if isinstance(n, ast.ClassDef | ast.FunctionDef))
    return next(node for node in found if node.name == source.name)


@cache
def _names(file: str) -> dict[str, Any]:
    """What annotations and defaults of a file are made of: the names of `bounds`, and the literals that it assigns."""
    names = vars(bounds) | {"Annotated": Annotated, "Sequence": collections.abc.Sequence, "Path": Path}
    for node in _tree(file).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            with contextlib.suppress(ValueError):
                names[_target(node)] = ast.literal_eval(node.value)
    return names


def _value(node: ast.expr, file: str) -> Any:
    return eval(ast.unparse(node), _names(file))


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text())


def _arguments(node: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """(name, annotation, default) of a dataclass's fields, or of a function or constructor."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    function = node if isinstance(node, ast.FunctionDef) else None
    function = function or next((n for n in body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if function is None:
        fields = (n for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name))
        yield from ((n.target.id, n.annotation, n.value) for n in fields if isinstance(n.target, ast.Name))
        return
    arguments = function.args
    missing = [None] * (len(arguments.args) - len(arguments.defaults))
    pairs = [*zip(arguments.args, [*missing, *arguments.defaults], strict=True)]
    for argument, default in [*pairs, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]:
        yield argument.arg, argument.annotation, default


def _kind(annotation: ast.expr | None, more: Sequence[ast.expr], file: str) -> str:
    """An annotation and further bounds as text: "float, from 0 to 1"."""
    kind, optional, marks = bounds.unwrap(_value(annotation, file) if annotation else str)
    marks = (*marks, *(_value(mark, file) for mark in more))
    limits = next((str(mark) for mark in marks if isinstance(mark, bounds.Range)), "")
    text = kind.__name__ if isinstance(kind, type) else re.sub(r"[\w.]*\.", "", str(kind))
    text = text.replace("Sequence", "list")
    text = "path" if any(isinstance(mark, bounds.PathRule) for mark in marks) else text
    text = "auto or int" if any(isinstance(mark, bounds.Auto) for mark in marks) else text
    text = next(("|".join(mark.names) for mark in marks if isinstance(mark, bounds.Choice)), text)
    return ", ".join(part for part in (text, limits, "or null" * optional) if part)


def _default(node: ast.expr | None, file: str) -> str:
    """A default as it is typed on the command line."""
    value = _value(node, file) if node is not None else bounds.REQUIRED
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return "(required)" if value == bounds.REQUIRED else bounds.brief(value, 200)


def _descriptions(node: ast.ClassDef | ast.FunctionDef, tree: ast.Module) -> dict[str, str]:
    """Argument -> text, from Args and Attributes; "see ..." is replaced by the text of another class in the file."""
    found: dict[str, str] = {}
    for described in (node, *(n for n in tree.body if isinstance(n, ast.ClassDef))):
        docstring = ast.get_docstring(described) or ""
        for section in re.findall(r"^(?:Args|Attributes):\n((?:(?:    .*)?\n?)+)", docstring, re.MULTILINE):
            for entry in re.findall(r"^    (\S[^:\n]*): ((?:.|\n     )*)", section, re.MULTILINE):
                for name in re.split(r",\s*", entry[0]):
                    if found.get(name, "see ").startswith("see "):
                        found[name] = " ".join(entry[1].split())
    return found
