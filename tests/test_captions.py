import numpy as np
import pytest
from PIL import Image

from stylegen.captions import Captions, add_captions

CELL, PADDING = 48, 4


def grid(rows: int, columns: int, mode: str = "RGB", cell: int = CELL) -> Image.Image:
    """Images of one color that neither text nor paper has, with white between them."""
    image = Image.new(mode, (columns * (cell + PADDING) - PADDING, rows * (cell + PADDING) - PADDING), "white")
    for i in range(rows * columns):
        x, y = i % columns * (cell + PADDING), i // columns * (cell + PADDING)
        image.paste((90, 30, 200) if mode.startswith("RGB") else 99, (x, y, x + cell, y + cell))
    return image


def is_image(image: Image.Image) -> np.ndarray:
    """[H, W]: pixels of the grid's images."""
    return np.all(np.asarray(image.convert("RGB")) == (90, 30, 200), axis=2)


def ink(image: Image.Image) -> np.ndarray:
    """[H, W]: black pixels."""
    return np.asarray(image.convert("L")) < 10


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_without_captions_the_grid_is_unchanged(mode: str) -> None:
    image = grid(2, 3, mode)
    assert add_captions(image, CELL, PADDING, Captions()).tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_the_grid_follows_margins_of_text(mode: str) -> None:
    image = grid(2, 3, mode)
    captions = Captions(rows=["0-2", "3-5"], columns=["a", "b", "c"], note="seeds 0-5")
    found = add_captions(image, CELL, PADDING, captions)
    assert found.mode == mode
    left = found.width - image.width
    top = next(y for y in range(found.height) if found.crop((left, y, found.width, y + image.height)) == image)
    assert left > 10
    assert top > 10
    below = found.crop((0, top + image.height, found.width, found.height))
    for part in (found.crop((0, 0, found.width, top)), found.crop((0, top, left, top + image.height)), below):
        assert ink(part).any()
        border = np.concatenate([ink(part)[0], ink(part)[-1], ink(part)[:, 0], ink(part)[:, -1]])
        assert not border.any()  # no text is cut off


def test_labels_below_images_move_the_rows_apart() -> None:
    found = add_captions(grid(2, 2), CELL, PADDING, Captions(cells=["0", "5", "9"]))
    images = is_image(found)
    assert images.sum() == 4 * CELL**2
    rows = np.flatnonzero(images.any(axis=1))
    (gap,) = np.flatnonzero(np.diff(rows) > 1)
    between = ink(found)[rows[gap] + 1 : rows[gap + 1]]
    assert between[:, :CELL].any()
    assert between[:, CELL + PADDING :].any()
    assert ink(found)[rows[-1] + 1 :, :CELL].any()
    assert not ink(found)[rows[-1] + 1 :, CELL + PADDING :].any()  # three labels for four places


def test_wide_labels_are_rotated() -> None:
    short = add_captions(grid(1, 4), CELL, PADDING, Captions(columns=["0", "1", "2", "3"]))
    long = add_captions(grid(1, 4), CELL, PADDING, Captions(columns=["0", "1", "2", "9223372036854775807"]))
    assert long.width == short.width
    assert long.height > short.height + CELL


def test_labels_of_tiny_images_do_not_overlap() -> None:
    rows = add_captions(grid(40, 1, cell=4), 4, PADDING, Captions(rows=["0"] * 40))
    lines = ink(rows.crop((0, 0, rows.width - 4, rows.height))).any(axis=1)
    assert (np.diff(lines.astype(int)) == 1).sum() == 40 // 2  # every second one


def test_long_notes_are_wrapped_and_long_words_widen_the_figure() -> None:
    lines = [add_captions(grid(1, 2), CELL, PADDING, Captions(note=note)) for note in ("psi 0.7", "psi 0.7 " * 6)]
    assert lines[0].width == lines[1].width == 2 * CELL + PADDING
    assert lines[1].height > lines[0].height + 20
    assert add_captions(grid(1, 2), CELL, PADDING, Captions(note="x" * 60)).width > 200


def test_labels_are_printed_smaller_before_they_are_rotated() -> None:
    def height(label: str) -> int:
        return add_captions(grid(1, 2, cell=128), 128, PADDING, Captions(columns=["0", label])).height - 128

    assert height("0" * 40) > 128 > 3 * height("0") > 3 * height("0" * 13) > 3 * 12
