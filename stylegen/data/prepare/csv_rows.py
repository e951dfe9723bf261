"""Rows of CSV files that name images: labels and landmarks."""

import csv
import io
from collections.abc import Collection
from pathlib import Path

from stylegen.data.sources.formats import MAX_METADATA_BYTES
from stylegen.errors import UserError

_HEADINGS = ("", "file", "filename", "file_name", "name", "path", "image", "image_id", "picture", "key", "id")


def read_text(setting: str, path: Path) -> str:
    """The content of a UTF-8 text file of at most 128 MiB.

    Raises:
        UserError: it cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > MAX_METADATA_BYTES or not path.is_file():
            raise OSError(
                0, f"{size // 2**20} MiB, more than {MAX_METADATA_BYTES // 2**20} MiB" if size else "not a regular file"
            )
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UserError(
            f"{setting}={path} cannot be read ({reason})", rule="must be a UTF-8 text file", fix="Give another file"
        ) from error


def split_rows(text: str, known: Collection[str], where: str) -> tuple[list[str] | None, list[list[str]]]:
    """The header, if there is one, and the rows that are not empty.

    A header starts with "file" or a similar word that is not an image.

    Args:
        known: names of the images.
        where: the file, for the error.

    Raises:
        UserError: the text is not CSV.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:  # for example an unclosed quote
        raise UserError(f"{where} cannot be read ({error})", rule="must be a CSV file", fix="Correct it") from error
    header = rows.pop(0) if rows and rows[0][0] not in known and rows[0][0].lower() in _HEADINGS else None
    return header, rows
