"""The trained models that come with the package, found by name: `snapshot=portraits64`.

A model is a snapshot `models/<name>.safetensors` with its card `<name>.json`: how it was trained, its metrics, its
licence, its limits.
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.errors import UserError, unknown_choice
from stylegen.files import parse_json

FOLDER = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True)
class PackagedModel:
    """A packaged snapshot and its card."""

    name: str
    snapshot: Path
    card: dict[str, Any]

    def __str__(self) -> str:
        """The card as text, one entry a line."""
        lines = [f"{self.name}: {self.card['title']}"]
        for key, value in self.card.items():
            if key != "title":
                lines.append(f"  {key + ':':14s} {value if isinstance(value, str) else json.dumps(value)}")
        return "\n".join(lines)


def names() -> list[str]:
    """The packaged models, sorted by name."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def packaged_model(name: str) -> PackagedModel:
    """The model of this name.

    Raises:
        UserError: an unknown name, or a card that is missing or damaged.
    """
    if name not in names():
        raise unknown_choice("model", name, names())
    path = FOLDER / f"{name}.json"
    try:
        card = parse_json(path.read_text(encoding="utf-8"))
        assert isinstance(card, dict)
        assert isinstance(card["title"], str)
    except (OSError, ValueError, AssertionError, KeyError) as error:
        raise UserError(
            f"the card {path} of the model {name}", rule="it is missing or damaged", fix="Install the package again"
        ) from error
    return PackagedModel(name, FOLDER / f"{name}.safetensors", card)


def is_packaged(path: Path) -> bool:
    """Whether this file comes with the package, so that nothing should be written beside it."""
    return path.resolve().parent == FOLDER


def snapshot_path(text: str | Path, setting: str = "snapshot") -> Path:
    """The path itself if it exists, or the snapshot of the packaged model of this name.

    Raises:
        UserError: neither; the nearest name is offered.
    """
    path = Path(text).expanduser()
    if path.exists():
        return path
    if str(text) in names():
        return FOLDER / f"{text}.safetensors"
    near = difflib.get_close_matches(str(text), names(), n=1)
    raise UserError(
        f"{setting}={text}",
        rule="there is no such file or packaged model",
        fix=f"Did you mean {setting}={near[0]}?"
        if near
        else f"Use {setting}= with a .safetensors file, a run folder, or a packaged model "
        f"({', '.join(names()) or 'none is installed'})",
    )
