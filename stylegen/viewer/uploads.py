"""Images that were dropped on the page, until they are projected."""

import re
import secrets
import threading
from collections import OrderedDict
from typing import Any

from torch import Tensor

from stylegen.bounds import brief
from stylegen.errors import UserError

MAX_BYTES = 2**25  # of a file
MAX_WAITING = 8
_NAME = re.compile(r"image(\d{1,6})-[0-9a-f]{8}")


class Uploads:
    """Converted images by name; the oldest are forgotten."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: OrderedDict[str, tuple[str, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, model: str, target: Tensor) -> str:
        """Keep an image [C, H, W] that was converted for a model -> its name."""
        with self._lock:
            self._number += 1
            name = f"image{self._number}-{secrets.token_hex(4)}"
            self._waiting[name] = (model, target)
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
        return name

    def resume(self, name: Any) -> str:
        """The name of an image of an earlier start of the server; later numbers exceed its number.

        Raises:
            UserError: no such name.
        """
        found = _NAME.fullmatch(name) if isinstance(name, str) else None
        if found is None:
            raise UserError(f"source={brief(name)}", rule="is not the name of an image", fix="Drop the image again")
        with self._lock:
            self._number = max(self._number, int(found[1]))
        return found[0]

    def take(self, name: Any, model: str) -> tuple[str, Tensor]:
        """The name and the image, which is then forgotten.

        Raises:
            UserError: no such image, or one for another model.
        """
        with self._lock:
            found = self._waiting.pop(name, None) if isinstance(name, str) else None
        if found is None or found[0] != model:
            raise UserError(f"upload={brief(name)}", rule="this image is no longer there", fix="Drop it again")
        return str(name), found[1]
