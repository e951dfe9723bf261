"""Convert trained networks of another program to a snapshot, without running code of their file."""

from pathlib import Path

from stylegen.checkpoints.convert_foreign import Converted, convert_foreign
from stylegen.checkpoints.find_model import find_model
from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.checkpoints.published_models import PUBLISHED_MODELS
from stylegen.config.settings import ConvertSettings
from stylegen.errors import UserError


def run(settings: ConvertSettings) -> Converted:
    """Write the snapshot and describe it.

    Raises:
        UserError: an unknown, damaged or unsupported file; another hash than `sha256`.
    """
    source, out = find_model(settings.source, "source"), Path(settings.out).expanduser()
    if settings.sha256 is not None and (found := sha256_of(source)) != settings.sha256.lower():
        raise UserError(f"{source} has the SHA-256 {found}", rule=f"sha256={settings.sha256}", fix="Download it again")
    return convert_foreign(source, out, published=PUBLISHED_MODELS.get(settings.source))
