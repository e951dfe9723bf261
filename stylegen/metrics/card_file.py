"""The file of a snapshot's metric cards: one for each set of choices.

The file is one JSON object: the newest card, and under "earlier" the others by the digest of their choices, oldest
first. A file with a single card is that card, so a script that reads `metrics` finds the newest numbers.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from stylegen.data.lock import exclusive
from stylegen.errors import UserError

_LOG = logging.getLogger(__name__)
_EARLIER = "earlier"
# What evaluating the same snapshot in the same way twice may change.
_NUMBERS = ("metrics", "references", "classes", "versions", "device", _EARLIER)


def choices_digest(card: Mapping[str, Any]) -> str:
    """Digest of what was measured and of every choice on the card, without the numbers."""
    choices = {name: value for name, value in card.items() if name not in _NUMBERS}
    content = {**choices, "metrics": list(card["metrics"]), "classes": list(card.get("classes", {}))}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()


def read_cards(path: Path) -> list[dict[str, Any]]:
    """The cards as plain JSON values, newest last; none without a file. A damaged file is reported and holds none."""
    return list(_read(path).values()) if path.exists() else []


def add_card(path: Path, card: Mapping[str, Any]) -> None:
    """Make this the newest card of the file, in place of one with the same choices; all others stay.

    A file that is damaged, or no file of cards, is renamed to <name>.damaged and reported. The new file appears whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with suppress(UserError):  # a cache folder that cannot be written costs the lock, not the card
            stack.enter_context(exclusive(path, wait=True))
        known = _read(path) if path.exists() else {}
        if path.exists() and not known:
            _LOG.warning("%s is renamed to %s", path, put_aside(path).name)
        known.pop(choices_digest(card), None)
        write_text(path, json.dumps({**card, **({_EARLIER: known} if known else {})}, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """A file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(path)


def put_aside(path: Path) -> Path:
    """Rename a file to <name>.damaged, or <name>.damaged-2 and so on; its new path."""
    number, target = 1, path.with_name(f"{path.name}.damaged")
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(target)
    return target


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Cards by the digest of their choices, newest last; empty for a damaged file."""
    try:
        newest = json.loads(path.read_text())
        cards = [*newest.pop(_EARLIER, {}).values(), newest]
        return {choices_digest(card): card for card in cards if _checked(card)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _LOG.warning("%s is damaged, or no metric card (%s)", path, error)
        return {}


def _checked(card: Mapping[str, Any]) -> bool:
    """True; raises for what is no card."""
    if not all(isinstance(value, int | float) for value in card["metrics"].values()):
        raise ValueError("metrics that are no numbers")
    return isinstance(card["sampling"], dict) and isinstance(card["num_samples"], int)
