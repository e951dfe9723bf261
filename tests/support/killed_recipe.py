"""A recipe that kills its worker; in its own module, so that workers do not import torch."""

import os
import signal

from stylegen.data.prepare.image_conversion import Converted, Recipe
from tests.support.datasets import encode

FATAL = encode(9, (16, 16))


class KilledRecipe(Recipe):
    """Kills its process at the image `FATAL`."""

    def __call__(self, data: bytes) -> Converted:
        if data == FATAL:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(data)
