"""Captions of figures: labels along the edges of a grid of images, and a note below it. No text covers an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_SHARE = 0.16  # of the cell's width: size of the font
_SMALLEST, _LARGEST = 12, 24  # sizes in pixels
_GAP = 4  # pixels around a label


@dataclass(frozen=True)
class Captions:
    """The text around a grid of images. Only characters of Pillow's own font are visible: ASCII and some of Latin 1.

    Args:
        rows: a label left of each row.
        columns: a label above each column.
        cells: a label below each image, row by row.
        note: below the grid, wrapped.
    """

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    cells: Sequence[str] = ()
    note: str = ""


def add_captions(grid: Image.Image, cell: int, padding: int, captions: Captions) -> Image.Image:
    """The grid with its captions, in the same mode; pixels of the images are unchanged.

    Labels above or below an image are printed smaller if one is wider than it, and rotated if that does not suffice.
    Where they would still overlap, some are left out.

    Args:
        cell: width and height of an image in pixels.
        padding: pixels between two images.
    """
    font = _Font.fitting([*captions.columns, *captions.cells], cell)
    columns, rows = ((side + padding) // (cell + padding) for side in grid.size)
    left = font.widest(captions.rows)
    above, below = font.strip_height(captions.columns), font.strip_height(captions.cells)
    width = max(left + grid.width, font.widest(captions.note.split()))
    note = font.wrapped(captions.note, width - 2 * _GAP)
    pitch = cell + padding + below
    bottom = above + rows * pitch - padding
    paper = _Paper(grid, width, bottom + (len(note) * font.height + 2 * _GAP if note else 0))
    for i in range(rows):
        top = above + i * pitch
        paper.copy_rows(i * (cell + padding), cell, (left, top))
        if i % math.ceil(font.height / pitch) == 0:
            paper.put([font.image(label) for label in captions.rows[i : i + 1]], left // 2, top + cell // 2)
        strip = font.strip(captions.cells[i * columns : (i + 1) * columns])
        paper.put(strip, left + cell // 2, top + cell + below // 2, cell + padding)
    paper.put(font.strip(captions.columns), left + cell // 2, above // 2, cell + padding)
    for i, line in enumerate(note):
        image = font.image(line)
        paper.put([image], _GAP + image.width // 2, bottom + _GAP + i * font.height + font.height // 2)
    return paper.image


class _Font:
    """Pillow's own font, so that the bytes do not depend on the fonts of a machine."""

    def __init__(self, size: float, rotated: bool = False) -> None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # of every Pillow that is built with FreeType, as wheels are
        self.font, self.height, self.rotated = font, sum(font.getmetrics()), rotated

    @classmethod
    def fitting(cls, labels: Sequence[str], cell: int) -> "_Font":
        """The largest font in which no label is wider than `cell`; if there is none, the smallest one, rotated."""
        for size in range(min(max(round(cell * _SHARE), _SMALLEST), _LARGEST), _SMALLEST - 1, -1):
            font = cls(size)
            if all(font._width(label) <= cell for label in labels):
                return font
        return cls(_SMALLEST, rotated=True)

    def widest(self, labels: Sequence[str]) -> int:
        """Width of the widest label with its margins; 0 without labels."""
        return max((self._width(label) for label in labels), default=-2 * _GAP) + 2 * _GAP

    def strip_height(self, labels: Sequence[str]) -> int:
        """Height of a row of labels above or below images; 0 without labels."""
        return max((image.height for image in self.strip(labels)), default=-2 * _GAP) + 2 * _GAP

    def strip(self, labels: Sequence[str]) -> list[Image.Image]:
        """Labels above or below images, white on black."""
        images = [self.image(label) for label in labels]
        return [image.transpose(Image.Transpose.ROTATE_90) for image in images] if self.rotated else images

    def image(self, text: str) -> Image.Image:
        """The text, white on black."""
        image = Image.new("L", (self._width(text), self.height))
        ImageDraw.Draw(image).text((0, 0), text, 255, self.font)
        return image

    def wrapped(self, text: str, width: int) -> list[str]:
        """Lines of at most this width, if no word is longer."""
        lines: list[str] = []
        for word in text.split():
            if lines and self._width(longer := f"{lines[-1]} {word}") <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def _width(self, text: str) -> int:
        return max(1, math.ceil(self.font.getlength(text)))


class _Paper:
    """A white image of the grid's mode, for the grid's rows and black text."""

    def __init__(self, grid: Image.Image, width: int, height: int) -> None:
        bands, alpha = len(grid.getbands()), grid.mode in ("LA", "RGBA")
        self.grid, self.image = grid, Image.new(grid.mode, (width, height), (255,) * bands)
        self.ink = (0,) * (bands - alpha) + (255,) * alpha

    def copy_rows(self, top: int, height: int, place: tuple[int, int]) -> None:
        """Copy rows of pixels of the grid."""
        self.image.paste(self.grid.crop((0, top, self.grid.width, top + height)), place)

    def put(self, labels: Sequence[Image.Image], x: int, y: int, step: int = 0) -> None:
        """Print labels around the centers (x, y), (x + step, y), ...; only every k-th one if they would overlap."""
        every = math.ceil(max((label.width for label in labels), default=0) / step) if step else 1
        for i in range(0, len(labels), max(every, 1)):
            label = labels[i]
            self.image.paste(self.ink, (x + i * step - label.width // 2, y - label.height // 2), label)
