"""Convert checkpoints from other implementations, without running their code; resize or blend models."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegen.checkpoints.convert_foreign import Converted, check_output, convert_foreign, write_networks
from stylegen.checkpoints.find_model import find_model, is_native
from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.checkpoints.published_models import PUBLISHED_MODELS
from stylegen.checkpoints.surgery import blended, resized, with_classes
from stylegen.config.settings import ConvertSettings
from stylegen.config.trained_networks import trained_networks
from stylegen.downloads import is_download
from stylegen.errors import UserError

_OF_THE_DATA = ("data", "dataset", "fingerprint")


def run(settings: ConvertSettings) -> Converted:
    """Write the snapshot and describe it.

    Raises:
        UserError: an unknown, damaged or unsupported file; another hash than `sha256`; changes that are impossible.
    """
    source, out = find_model(settings.source, "source"), Path(settings.out).expanduser()
    if settings.sha256 is not None and (found := sha256_of(source)) != settings.sha256.lower():
        kept = is_download(source) or settings.source in PUBLISHED_MODELS
        fix = f"Delete {source} and try again" if kept else "Download it again"
        raise UserError(f"{source} has the SHA-256 {found}", rule=f"sha256={settings.sha256}", fix=fix)
    if settings.resolution is not None or settings.num_classes is not None or settings.blend is not None:
        return _changed(settings, source, out)
    if source.is_file() and is_native(source):
        raise UserError(
            f"source={settings.source}",
            rule="is already a snapshot of stylegen",
            fix="Use resolution=, num_classes= or blend= to change its networks, or another checkpoint",
        )
    return convert_foreign(source, out, published=PUBLISHED_MODELS.get(settings.source))


def _changed(settings: ConvertSettings, source: Path, out: Path) -> Converted:
    trained = trained_networks(settings.source)
    check_output(out, source, trained.file)
    model = trained.model
    if settings.resolution is not None:
        model = resized(model, settings.resolution)
    if settings.num_classes is not None:
        model = with_classes(model, settings.num_classes)
    if settings.blend is not None:
        other = trained_networks(settings.blend, "blend")
        check_output(out, find_model(settings.blend, "blend"), other.file)
        model = blended(model, other.model, *_pixels(settings.layers), settings.blend_weight)
    kept = _kept(trained.info, trained.model.G_ema.settings, model.G_ema.settings)
    changes: dict[str, Any] = {
        "file": trained.file.name,
        "sha256": sha256_of(trained.file),
        "changes": list(model.notes),
    }
    if isinstance(origin := trained.info.get("source"), dict):  # a conversion, perhaps in the cache
        changes |= {key: origin[key] for key in ("file", "sha256", "program") if key in origin}
    return write_networks(model, out, kept | {"surgery": changes}, changes["sha256"])


def _kept(info: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The info that is true of the new networks: of the data only if they still fit."""
    classes = old["num_classes"] == new["num_classes"]
    dropped = () if classes and old["resolution"] == new["resolution"] else _OF_THE_DATA
    return {key: value for key, value in info.items() if key not in dropped and (classes or key != "class_names")}


def _pixels(layers: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d{1,4})\s*-\s*(\d{1,4})\s*", layers)
    if found is None:
        raise UserError(f"layers={layers}", rule="must be a range of resolutions in pixels", fix="Use layers=16-64")
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise UserError(f"layers={layers}", rule="the lower resolution must come first", fix=f"Use layers={high}-{low}")
    return low, high
