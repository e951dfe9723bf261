"""All pictures of a dataset are alike: square, of one size, with the same channels."""

from stylegen.data.pictures import Header, read_header
from stylegen.data.sources.source import Source
from stylegen.errors import UserError
from stylegen.spec import MAX_RESOLUTION, MIN_RESOLUTION, is_power_of_two

HEAD_BYTES = 2**16  # enough for the header of nearly every file


def place_of(source: Source, key: str) -> str:
    """A picture's place as it stands in errors."""
    return str(source.path / key)


def header_of(source: Source, key: str) -> Header:
    """Size and channels of one picture, from its first bytes where these are enough."""
    where = place_of(source, key)
    try:
        return read_header(source.read(key, HEAD_BYTES), where)
    except UserError:  # long metadata before the pixels, or a format that wants the whole file
        return read_header(source.read(key), where)


def check_trainable(header: Header, where: str, resolution: int | None) -> None:
    """Refuse a first picture that is not square, no power of two, or not of the resolution asked for."""
    if header.width != header.height:
        raise UserError(
            f"{where} is {header.width}x{header.height}",
            rule="training pictures are square",
            fix="Crop or pad them: python -m stylegen prepare source=... out=... crop=center",
        )
    if not (is_power_of_two(header.width) and MIN_RESOLUTION <= header.width <= MAX_RESOLUTION):
        raise UserError(
            f"{where} is {header.width}x{header.height}",
            rule=f"resolutions are powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
            fix="Resize them: python -m stylegen prepare source=... out=... resolution=256",
        )
    if resolution not in (None, header.width):
        raise UserError(
            f"resolution={resolution}, but {where} is {header.width}x{header.height}",
            rule="pictures are used at the size in which they are stored",
            fix=f"Leave resolution out, give {header.width}, or resize the pictures",
        )


def check_alike(where: str, header: Header, first_place: str, first: Header) -> None:
    """Refuse a picture that differs from the first."""
    if header != first:
        raise UserError(
            f"{where} is {header}, {first_place} is {first}",
            rule="all pictures of a dataset have the same size and channels",
            fix="Prepare the dataset (python -m stylegen prepare), or remove one of them",
        )
