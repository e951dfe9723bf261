"""Landmarks of faces from a CSV file."""

from collections.abc import Collection, Sequence
from pathlib import Path

from stylegen.bounds import brief
from stylegen.data.prepare.csv_rows import read_text, split_rows
from stylegen.data.prepare.face_alignment import Face, face_square
from stylegen.errors import UserError

_COLUMNS = "file, left eye x, y, right eye x, y, nose x, y, left corner of the mouth x, y, right corner x, y"
_RULE = "the file must have one line for each image, with its path below the source"
_FARTHEST = 1e6  # pixels; no image has as many in a row


def read_landmarks(path: str, keys: Collection[str], others: bool = False) -> dict[str, Face]:
    """Image -> landmarks, from a CSV with one line per image: its path, and x and y of five landmarks.

    The landmarks are the left eye, right eye, nose, left and right corner of the mouth; left is left in the image. They
    are in pixels of the upright image; (0, 0) is the center of the upper left pixel. A header line starts with "file".

    Args:
        keys: the images.
        others: accept, and skip, lines for other images.

    Raises:
        UserError: a file that cannot be read; a line with another number of columns, with words, for another image,
            or for the same one; eyes that coincide; mirrored landmarks.
    """
    file = Path(path).expanduser()
    where = f"align={path}"
    _, rows = split_rows(read_text("align", file), keys, where)
    found: dict[str, Face] = {}
    for row in rows:
        key = row[0].strip()
        if key not in keys and others:
            continue
        if key not in keys:
            raise UserError(
                f"{where} names {brief(key)}, which is not an image", rule=_RULE, fix="Correct or remove it"
            )
        if key in found:
            raise UserError(f"{where} names {brief(key)} twice", rule=_RULE, fix="Remove a line")
        found[key] = _face(row, f"{where}: {brief(key)}")
    return found


def _face(row: Sequence[str], where: str) -> Face:
    if len(row) != 11:
        raise UserError(f"{where} has {len(row)} columns", rule=f"there must be 11: {_COLUMNS}", fix="Correct the line")
    odd = next((cell for cell in row[1:] if not _is_position(cell)), None)
    if odd is not None:
        what = brief(odd.strip()) or "an empty cell"
        raise UserError(f"{where} has {what}", rule="positions must be numbers, in pixels", fix="Correct the line")
    numbers = [float(cell) for cell in row[1:]]
    face = Face(*zip(numbers[::2], numbers[1::2], strict=True))
    try:
        face_square(face)
    except ValueError as error:
        raise UserError(
            f"{where}: {error}", rule=f"columns are {_COLUMNS}; left is left in the image", fix="Correct the line"
        ) from error
    return face


def _is_position(cell: str) -> bool:
    try:
        return abs(float(cell)) < _FARTHEST
    except ValueError:
        return False
