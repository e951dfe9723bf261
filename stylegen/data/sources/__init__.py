"""Sources of images. A new kind is one file with a subclass of `Source`, and one line in `open_source`."""

from pathlib import Path

from stylegen.data.sources.folder import FolderSource
from stylegen.data.sources.formats import IMAGE_SUFFIXES
from stylegen.data.sources.lmdb import LmdbSource
from stylegen.data.sources.parquet import ParquetSource
from stylegen.data.sources.source import Source
from stylegen.data.sources.zip import ZipSource
from stylegen.errors import UserError


def open_source(path: str | Path, setting: str = "data.path", suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> Source:
    """Opens a folder of images or of Parquet shards, a .zip, an .lmdb, or a .parquet file.

    Args:
        setting: name of the setting with the path, for errors.
        suffixes: endings of image files in a folder or zip, such as ".png".

    Raises:
        UserError: no such path, or another kind of file; a damaged archive; labels that do not fit; the package of an
            extra is missing.
    """
    place = Path(path).expanduser()
    suffix = place.suffix.lower()
    if place.is_dir() and (place / "data.mdb").is_file():
        return LmdbSource(place)
    if place.is_dir():
        folder = FolderSource(place, suffixes)
        shards = [] if folder.keys() else sorted(place.glob("*.parquet"))
        return ParquetSource(place, shards) if shards else folder
    if place.is_file() and suffix == ".zip":
        return ZipSource(place, suffixes)
    if place.is_file() and suffix == ".lmdb":
        return LmdbSource(place)
    if place.is_file() and suffix == ".parquet":
        return ParquetSource(place, [place])
    accepts_word = setting in ("data.path", "source")
    problem = "is not a folder, .zip, .lmdb or .parquet file" if place.exists() else "does not exist"
    raise UserError(
        f"{setting}={path} {problem}",
        rule=f"{setting} must be a folder, .zip, .lmdb or .parquet of images"
        + (", or the word openmoji" * accepts_word),
        fix="Give the path of one of these",
    )
