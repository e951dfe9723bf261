"""The file with the metric cards of a snapshot: one for each set of choices.

The file is one JSON object: the newest card, and under "earlier" the others by the digest of their choices, oldest
first. A file with a single card is that card, so a script that reads `metrics` finds the newest numbers.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from stylegen.errors import UserError
from stylegen.files import exclusive, parse_json, write_text
from stylegen.metrics.protocol.card import MetricCard

_LOG = logging.getLogger(__name__)
_EARLIER = "earlier"
# Entries that may differ between two evaluations of the same question.
_NUMBERS = ("metrics", "references", "classes", "attributes", "spectrum", "versions", "device", _EARLIER)
_REQUIRED = {f.name for f in fields(MetricCard) if f.default is MISSING and f.default_factory is MISSING}


def choices_digest(card: Mapping[str, Any]) -> str:
    """Digest of the card without its numbers: the subject and all choices."""
    choices = {name: value for name, value in card.items() if name not in _NUMBERS}
    content = {**choices, "metrics": list(card["metrics"]), "classes": list(card.get("classes", {}))}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()


def read_cards(path: Path) -> list[dict[str, Any]]:
    """The cards as plain JSON values, newest last; empty without a file; empty with a warning if it is damaged."""
    return list(_read(path).values()) if path.exists() else []


def add_card(path: Path, card: Mapping[str, Any]) -> None:
    """Adds a card as the newest; it replaces a card with the same choices.

    A damaged file, or a file without cards, is renamed to <name>.damaged with a warning.
    """
    with updating(path):
        known = _read(path) if path.exists() else {}
        if path.exists() and not known:
            _LOG.warning("%s is renamed to %s", path, put_aside(path).name)
        known.pop(choices_digest(card), None)
        write_text(path, json.dumps({**card, **({_EARLIER: known} if known else {})}, indent=2, allow_nan=False) + "\n")


@contextmanager
def updating(path: Path) -> Iterator[None]:
    """Context manager: makes other processes that update this file wait, so that no update is lost.

    Does not lock if the cache folder is not writable; simultaneous updates may then be lost.
    """
    with ExitStack() as stack:
        with suppress(UserError):
            stack.enter_context(exclusive(path, wait=True))
        yield


def put_aside(path: Path) -> Path:
    """Renames a file to <name>.damaged, or <name>.damaged-2 and so on; returns the new path."""
    number, target = 1, path.with_name(f"{path.name}.damaged")
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(target)
    return target


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Cards by the digest of their choices, newest last; empty for a damaged file."""
    try:
        newest = parse_json(path.read_text())
        cards = [*newest.pop(_EARLIER, {}).values(), newest]
        return {choices_digest(card): card for card in cards if _checked(card)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _LOG.warning("%s is damaged, or not a metric card (%s)", path, error)
        return {}


def _checked(card: Mapping[str, Any]) -> bool:
    """True for a valid card; raises otherwise."""
    if missing := _REQUIRED - card.keys():
        raise ValueError(f"{', '.join(sorted(missing))} missing")
    if not all(isinstance(value, int | float) for value in card["metrics"].values()):
        raise ValueError("metrics are not numbers")
    if card["better"].keys() != card["metrics"].keys():
        raise ValueError("metrics and their better directions do not match")
    json.dumps(card, allow_nan=False)  # ValueError if it could not be written again
    return isinstance(card["sampling"], dict) and isinstance(card["num_samples"], int)
