"""Images that training converts by itself: what `prepare` would write, in the cache folder, made on first use."""

import contextlib
import hashlib
import json
from pathlib import Path

from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.preparation import identity, no_images, prepare
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES
from stylegen.data.sources.source import Source
from stylegen.files import cache_folder, exclusive, parse_json, unwritable_cache

_MOST_NAMED = 3


def converted_path(path: str | Path, resolution: int, channels: str) -> Path:
    """The dataset of these images, each cropped to its centered square and resized; labels are kept.

    Other images, labels or settings give another file. A second process waits for the first.

    Args:
        path: a folder, .zip, .lmdb or .parquet.
        resolution: side of the result, a power of two from 8 to 2048.
        channels: "rgb" or "gray".

    Raises:
        UserError: a bad source; no image that can be read; a cache folder without space or permission.
    """
    recipe = Recipe(resolution, channels=channels)
    with contextlib.closing(open_source(path, suffixes=CONVERTIBLE_SUFFIXES)) as source:
        if not source.keys():
            raise no_images("data.path", source)
        return _converted(source, recipe, path)


def _converted(source: Source, recipe: Recipe, path: str | Path) -> Path:
    name = Path(path).expanduser().resolve().stem
    folder = cache_folder() / "converted" / f"{_tag(source, recipe)}-{recipe.resolution}"
    out = folder / f"{name}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder, wait=True):
            if not out.is_file():
                prepare(source, out, recipe)
    except OSError as error:
        raise unwritable_cache(folder, error, "converted images are kept there") from error
    return out


def conversion_notices(out: Path) -> list[str]:
    """What was left out of a dataset of `converted_path`, for the user."""
    report = out.with_name(f"{out.name}.report.json")
    left_out = parse_json(report.read_text(encoding="utf-8"))["left_out"] if report.is_file() else []
    if not left_out:
        return []
    named = [f"{entry['file']}: {entry['reason']}" for entry in left_out[:_MOST_NAMED]]
    more = f"; and {len(left_out) - _MOST_NAMED} more, see {report}" if len(left_out) > _MOST_NAMED else ""
    return [f"{len(left_out)} image{'s' * (len(left_out) > 1)} left out ({'; '.join(named)}{more})"]


def _tag(source: Source, recipe: Recipe) -> str:
    keys = source.keys()
    notes = json.dumps([[source.label(key) for key in keys], source.metadata.get("class_names"), str(source.path)])
    return hashlib.blake2b((identity(source, recipe, keys) + notes).encode(), digest_size=8).hexdigest()
