"""Messages between page and server.

To the server: JSON texts, `{"kind": ..., "slot": ..., "id": ..., ...}`. A newer request of a slot replaces the one that
waits in it. To the page: binary frames, the length of a JSON header (uint32, little-endian), the header, a payload.
"""

import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from stylegen.bounds import brief
from stylegen.errors import UserError
from stylegen.files import parse_json
from stylegen.images import to_pil

MAX_MESSAGE = 2**18  # bytes
# Slots, and how urgent they are: a request interrupts those with a larger number.
URGENCY = {"image": 0, "open": 0, "recipes": 0}
URGENCY |= {"grid": 1, "map": 1, "layers": 1, "keyframes": 1, "directions": 1}
URGENCY |= {"job": 2}
LEAST_URGENT = max(URGENCY.values())
_JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}
_ENCODINGS: dict[str, dict[str, Any]] = {
    "jpeg": _JPEG,
    "png": {"format": "PNG", "compress_level": 1},
    "webp": {"format": "WEBP", "lossless": True, "method": 4},
}


@dataclass(frozen=True)
class Request:
    """A message of the page.

    Args:
        kind: what to do.
        slot: a slot of `URGENCY`.
        id: repeated in the answer.
        content: the other fields, not yet checked.
    """

    kind: str
    slot: str
    id: int
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A message to the page."""

    header: dict[str, Any]
    payload: bytes = b""

    def encode(self) -> bytes:
        header = json.dumps(self.header, separators=(",", ":"), allow_nan=False).encode()
        return b"".join([struct.pack("<I", len(header)), header, self.payload])


def parse_request(text: str) -> Request:
    """The request in a message.

    Raises:
        UserError: no JSON object with kind, slot and id.
    """
    try:
        content = parse_json(text)
    except ValueError as error:
        raise UserError(f"message {brief(text)!r}", rule="must be a JSON object", fix="Reload the page") from error
    if not isinstance(content, dict):
        raise UserError(f"message {brief(text)!r}", rule="must be a JSON object", fix="Reload the page")
    kind, slot, number = (content.pop(name, None) for name in ("kind", "slot", "id"))
    good = (
        isinstance(kind, str)
        and isinstance(slot, str)
        and slot in URGENCY
        and type(number) is int
        and 0 <= number < 2**53
    )
    if not good:
        rule = "must have a kind, a known slot and an id"
        raise UserError(f"message {brief(content)}", rule=rule, fix="Reload the page")
    return Request(kind, slot, number, content)


def encode_image(image: Tensor | Image.Image, encoding: str) -> bytes:
    """An image, uint8 [C, H, W] or Pillow's, as "jpeg", "png" or "webp"; the last two keep every pixel."""
    pixels = to_pil(image) if isinstance(image, Tensor) else image
    if encoding != "png" and pixels.mode not in ("RGB", "L"):
        pixels = pixels.convert("RGBA" if encoding == "webp" else "RGB")
    buffer = io.BytesIO()
    pixels.save(buffer, **_ENCODINGS[encoding])
    return buffer.getvalue()
