"""The header comments of experiments, and the table in docs/experiments.md that is generated from them.

``python -m tests.support.experiment_headers`` rewrites the table.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "conf" / "experiment"
NAMES = sorted(p.stem for p in DIRECTORY.glob("*.yaml"))
PAGE = ROOT / "docs" / "experiments.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
_LABEL = re.compile(r"# (one GPU|hardware|time|metric|reproduced here): +(.*)")


@dataclass(frozen=True)
class Header:
    """A header's parts.

    Attributes:
        command: its first line.
        about: what the experiment is, in sentences.
        labels: text by "one GPU", "hardware", "time", "metric", "reproduced here".
    """

    command: str
    about: str
    labels: dict[str, str]

    @property
    def summary(self) -> str:
        """The first sentence."""
        return self.about.split(". ")[0].rstrip(".")


def read_header(name: str) -> Header:
    """The header of conf/experiment/<name>.yaml; its first line is Hydra's."""
    lines = (DIRECTORY / f"{name}.yaml").read_text().splitlines()[1:]
    command, *rest = itertools.takewhile(lambda line: line.startswith("#"), lines)
    about: list[str] = []
    labels: dict[str, str] = {}
    label = ""
    for line in rest:
        match = _LABEL.match(line)
        if match:
            label = match[1]
            labels[label] = match[2]
        elif label and line.startswith("#  "):
            labels[label] += " " + line.strip("# ")
        else:
            label = ""
            about.append(line.strip("# "))
    return Header(command.strip("# "), " ".join(filter(None, about)), labels)


def table() -> str:
    """A row for each experiment: name, first sentence, metric."""
    rows = ["| `experiment=` | | metric |", "|---|---|---|"]
    for name in NAMES:
        if name != "none":
            header = read_header(name)
            rows.append(
                f"| [`{name}`](../conf/experiment/{name}.yaml) | {header.summary} | {header.labels['metric']} |"
            )
    return "\n".join(rows) + "\n"


def page() -> str:
    """docs/experiments.md with an up-to-date table."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
