"""`--help` of a verb and the words for shell completion."""

import textwrap
from pathlib import Path

from stylegen.config.help_rows import sections
from stylegen.config.settings import CONF, ROOTS

WIDTH = 110


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
            lines += [f"  {group}={option}".ljust(44) + f"  {text}" for option, text in options.items()]
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
    """Group of conf/ -> option -> the first line of its file's header."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        if path.parent.name != "study":
            found.setdefault(path.parent.name, {})[path.stem] = _header(path)
    return found


def _header(path: Path) -> str:
    lines = [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    plain = (line for line in lines if line and not line.startswith(("@package", "python ")))
    return textwrap.shorten(next(plain, ""), WIDTH, placeholder=" ...")
