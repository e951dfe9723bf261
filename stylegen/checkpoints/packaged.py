"""The trained models that come with the package, found by name: `snapshot=portraits64`.

A model is a snapshot `models/<name>.safetensors` with its card `<name>.json`: how it was trained, its metrics, its
license, its limits.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegen.errors import UserError, unknown_choice
from stylegen.files import parse_json

LICENSE = "cc-by-sa-4.0"  # of all packaged models: derived works of OpenMoji
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
