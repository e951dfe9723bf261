"""`--help` of a verb and the words for shell completion, read from source files and conf/ without importing torch.

Defaults, bounds and descriptions stand in constructors; importing those takes seconds, parsing their files does not.
"""

import ast
import collections.abc
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from stylegen import bounds

PACKAGE = Path(__file__).resolve().parents[1]
WIDTH = 110
# Verb -> prefix of its settings, with the group's option in parentheses -> the constructors that they are for.
SOURCES: dict[str, dict[str, list[str]]] = {
    "train": {
        "": ["config/settings.py:TrainSettings"],
        "data.": ["config/settings.py:LoaderSettings", "data/dataset.py:ImageDataset"],
        "generator. (stylegan2)": ["networks/stylegan2.py:Generator"],
        "generator. (stylegan1)": ["networks/stylegan1.py:Generator"],
        "discriminator. (stylegan2)": ["networks/stylegan2_discriminator.py:Discriminator"],
        "discriminator. (stylegan1)": ["networks/stylegan1_discriminator.py:Discriminator"],
        "loss. (relativistic)": ["losses/relativistic.py:Relativistic"],
        "regularizers.r1.": ["regularizers/r1.py:R1"],
        "regularizers.path_length.": ["regularizers/path_length.py:PathLength"],
        "augment.": ["augment/controller.py:Controller"],
        "augment. (ada)": ["augment/pipeline.py:AdaPipeline"],
        "augment. (diffaugment)": ["augment/diffaugment.py:DiffAugment"],
        "growth.": ["training/growth.py:Growth"],
        "optimizer.": ["training/optimizer.py:AdamSettings"],
        "ema.": ["training/ema.py:EMA"],
        "evaluation.": ["config/settings.py:EvaluationSettings", "config/settings.py:EvaluationOptions"],
        "evaluation. (metrics)": ["metrics/protocol/metric.py:MetricOptions"],
        "trainer.": ["config/settings.py:TrainerSettings"],
        "logger.": ["training/lightning/callbacks/wandb.py:WandbRun"],
    },
    "sample": {"": ["config/settings.py:SampleSettings"]},
    "evaluate": {
        "": ["config/settings.py:EvaluateSettings"],
        "data.": ["config/settings.py:EvaluateData"],
        "evaluation.": ["config/settings.py:EvaluationOptions", "metrics/protocol/metric.py:MetricOptions"],
    },
    "sensitivity": {
        "": ["config/settings.py:SensitivitySettings"],
        "data.": ["config/settings.py:EvaluateData"],
        "evaluation.": ["config/settings.py:EvaluationOptions", "metrics/protocol/metric.py:MetricOptions"],
    },
    "prepare": {
        "": [
            "config/settings.py:PrepareSettings",
            "data/prepare/preparation.py:prepare",
            "data/prepare/convert.py:Recipe",
        ]
    },
    "study": {"": ["config/settings.py:StudySettings"]},
    "bench": {"": ["config/settings.py:BenchSettings"]},
}
_NOT_SETTINGS = {"self", "folder", "config", "recipe", "channels", "num_classes"}
_FROM_DATA = ("networks/", "training/growth.py")  # whose resolution, channels and batch the data or the root decide


@dataclass(frozen=True)
class Row:
    """One setting: its key without prefix, what it may be, its default as written, what it does."""

    name: str
    kind: str
    default: str
    text: str


def help_of(verb: str, summary: str) -> str:
    """The whole help of one verb."""
    lines = [summary, "", f"usage: python -m stylegen {verb} [setting=value ...] [--cfg job]"]
    for prefix, sources in SOURCES[verb].items():
        lines += ["", prefix or "settings"]
        for row in (row for source in sources for row in rows(source)):
            key = f"{prefix.partition(' ')[0]}{row.name}"
            lines.append(f"  {key}={row.default}".ljust(44) + f"  {row.kind}")
            lines += textwrap.wrap(row.text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if verb == "train":
        lines += ["", "groups: group=option"]
        for group, options in groups().items():
            lines += [f"  {group}={option}".ljust(44) + f"  {text}" for option, text in options.items()]
    return "\n".join(lines) + "\n"


def words(verb: str) -> list[str]:
    """What completion offers after a verb: settings with "=", and groups with their options."""
    keys = {
        f"{prefix.partition(' ')[0]}{row.name}="
        for prefix, sources in SOURCES.get(verb, {}).items()
        for source in sources
        for row in rows(source)
    }
    options = groups() if verb == "train" else {}
    return sorted(keys | {f"{group}={option}" for group, found in options.items() for option in found})


COMPLETION = """\
_stylegen() {
  local word="${COMP_WORDS[COMP_CWORD]}"
  [[ "$COMP_LINE" =~ [^[:space:]]+$ ]] && word="${BASH_REMATCH[0]}"  # "=" breaks words in COMP_WORDS
  [[ "$COMP_LINE" == *" " ]] && word=""
  local verb=""
  [ "$COMP_CWORD" -gt 1 ] && verb="${COMP_WORDS[1]}"
  local tail="${word%"${word##*=}"}"
  COMPREPLY=($(compgen -W "$(stylegen --complete "$verb")" -- "$word"))
  COMPREPLY=("${COMPREPLY[@]#"$tail"}")
  [[ "${COMPREPLY[*]}" == *= ]] && compopt -o nospace
}
complete -o default -F _stylegen stylegen
"""
COMPLETIONS = {"bash": COMPLETION, "zsh": f"autoload -U bashcompinit && bashcompinit\n{COMPLETION}"}


def groups() -> dict[str, dict[str, str]]:
    """Group -> option -> the first sentence of its file in conf/."""
    conf = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())
    found: dict[str, dict[str, str]] = {}
    for path in sorted(conf.glob("*/*.yaml")):
        if path.parent.name != "study":
            found.setdefault(path.parent.name, {})[path.stem] = _header(path)
    return found


def rows(source: str) -> list[Row]:
    """The settings that a class or function takes: "networks/stylegan2.py:Generator"."""
    file, _, name = source.partition(":")
    tree = _tree(file)
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == name)
    texts = _descriptions(ast.get_docstring(node) or "")
    elsewhere = [_descriptions(ast.get_docstring(n) or "") for n in tree.body if isinstance(n, ast.ClassDef)]
    without = {*_NOT_SETTINGS, "resolution", "batch_size"} if file.startswith(_FROM_DATA) else _NOT_SETTINGS
    if name == "Recipe":
        without = without - {"channels"}
    found = []
    for argument, annotation, default in _arguments(node):
        if argument not in without and (name, argument) not in (("prepare", "source"), ("prepare", "out")):
            known = [t[argument] for t in [texts, *elsewhere] if argument in t]
            text = next((t for t in known if not t.startswith("see ")), known[0] if known else "")
            found.append(Row(argument, _kind(annotation), _default(default, tree), text))
    return found


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


def _kind(annotation: ast.expr | None) -> str:
    """ "float, from 0 to 1" of an annotation."""
    names = vars(bounds) | {"Annotated": Annotated, "Sequence": collections.abc.Sequence, "Path": Path}
    kind, optional, marks = bounds.unwrap(eval(ast.unparse(annotation), names) if annotation else str)
    limits = next((str(mark) for mark in marks if isinstance(mark, bounds.Range)), "")
    text = kind.__name__ if isinstance(kind, type) else re.sub(r"[\w.]*\.", "", str(kind))
    text = text.replace("Sequence", "list")
    text = "path" if any(isinstance(mark, bounds.PathRule) for mark in marks) else text
    text = next(("|".join(mark.names) for mark in marks if isinstance(mark, bounds.Choice)), text)
    return ", ".join(part for part in (text, limits, "or null" * optional) if part)


def _default(node: ast.expr | None, tree: ast.Module) -> str:
    if isinstance(node, ast.Call) and node.keywords:  # field(default_factory=lambda: [...])
        value = node.keywords[0].value
        node = value.body if isinstance(value, ast.Lambda) else ast.List([], ast.Load())
    if isinstance(node, ast.Name):
        named = (n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == node.id)
        node = next((n.value for n in named), node)
    if node is None or (isinstance(node, ast.Constant) and node.value == "???"):
        return "(required)"
    if isinstance(node, ast.Constant):
        constant = node.value
        return "null" if constant is None else str(constant).lower() if isinstance(constant, bool) else str(constant)
    return ast.unparse(node).replace("(", "[").replace(")", "]").replace("'", "").replace(" ", "")


def _descriptions(docstring: str) -> dict[str, str]:
    """Argument -> text, from the sections Args and Attributes of a docstring."""
    found: dict[str, str] = {}
    for section in re.findall(r"^(?:Args|Attributes):\n((?:(?:    .*)?\n?)+)", docstring, re.MULTILINE):
        for entry in re.findall(r"^    (\S[^:\n]*): ((?:.|\n     )*)", section, re.MULTILINE):
            for name in re.split(r",\s*", entry[0]):
                found.setdefault(name, " ".join(entry[1].split()))
    return found


def _header(path: Path) -> str:
    lines = [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    plain = (line for line in lines if line and not line.startswith(("@package", "python ")))
    return next(plain, "")[:WIDTH]
