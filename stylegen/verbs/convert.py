"""Convert trained networks of another program to a snapshot, without running code of their file."""

from pathlib import Path

from stylegen.checkpoints.convert_foreign import Converted, convert_foreign
from stylegen.config.settings import ConvertSettings


def run(settings: ConvertSettings) -> Converted:
    """Write the snapshot and describe it.

    Raises:
        UserError: an unknown, damaged or unsupported file.
    """
    return convert_foreign(Path(settings.source).expanduser(), Path(settings.out).expanduser())
