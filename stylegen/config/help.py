"""`--help` of a verb and the words for shell completion."""

import itertools
import re
import textwrap
from pathlib import Path

from stylegen.config.help_rows import sections
from stylegen.config.settings import CONF, ROOTS

WIDTH = 110
_COMMANDS = ("@package", "python ", "one GPU:", "hardware:", "time:")  # no descriptions


def help_of(verb: str, summary: str) -> str:
    """The text of `VERB --help`."""
    lines = [summary, "", f"usage: python -m stylegen {verb} [setting=value ...] [--cfg job]"]
    for title, rows in sections(verb).items():
        lines += ["", title or "settings"]
        for row in rows:
            key = f"{title.partition(' ')[0]}{row.name}"
            lines.append(f"  {key}={row.default}".ljust(44) + f"  {row.kind}")
            lines += textwrap.wrap(row.text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if verb == "train":
        lines += ["", "groups: group=option"]
        for group, options in groups().items():
            for option, text in options.items():
                head, indent = f"  {group}={option}".ljust(46), " " * 46
                lines += textwrap.wrap(text, WIDTH + 46, initial_indent=head, subsequent_indent=indent)
    return "\n".join(lines) + "\n"


def words(verb: str) -> list[str]:
    """Completions after a verb: settings with "=", and groups with their options."""
    found = sections(verb) if verb in ROOTS else {}
    keys = {f"{title.partition(' ')[0]}{row.name}=" for title, rows in found.items() for row in rows}
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
    """Group of conf/ -> option -> the first sentence of its file's header."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        if path.parent.name != "study":
            found.setdefault(path.parent.name, {})[path.stem] = _header(path)
    return found


def _header(path: Path) -> str:
    lines = [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    plain = itertools.dropwhile(lambda line: not line or line.startswith(_COMMANDS), lines)
    text = " ".join(itertools.takewhile(lambda line: line and not line.startswith(_COMMANDS), plain))
    sentence = re.match(r".*?[^.\s]{2}(?<! cf)\.(?=\s|$)", text)  # not the periods of "cf." or "e.g."
    return textwrap.shorten(sentence[0] if sentence else text, 2 * WIDTH, placeholder=" ...")
