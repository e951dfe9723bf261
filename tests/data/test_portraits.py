"""The selection of portraits: which glyphs are included, and whether their faces are aligned."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from stylegen.data import openmoji
from stylegen.data.portraits import CLASS_NAMES, LEFT_OUT, NAMELESS, PEOPLE, TRADES, WORKERS, Glyph, portrait

TOLERANCE = 4  # of the drawing's 72 units
SEARCHED = 12
LIKE_A_FACE = 0.7
SKIN = ["fcea2b", "fadcbc", "debb90", "c19a65", "a57939", "6a462f"]
UNITS = openmoji.CROP[2]

Measure = Callable[[list[Glyph]], tuple[np.ndarray, np.ndarray]]


@cache
def skin(glyph: Glyph) -> np.ndarray:
    """float [UNITS * UNITS]: 1 at skin pixels, one pixel per unit of the glyph."""
    color = np.frombuffer(bytes.fromhex(SKIN[glyph.skin_tone]), np.uint8).astype(int)
    image = openmoji.render_glyph(glyph.hexcode, UNITS).astype(int)
    return (np.abs(image - color).max(-1) < 16).astype(float).ravel()


@pytest.fixture(scope="module")
def all_portraits() -> list[Glyph]:
    return openmoji.glyphs()


@pytest.fixture(scope="module")
def measure(all_portraits) -> Measure:
    """For each glyph: offset of its face from the mean face, in units, and similarity of the two."""
    mean = np.mean([skin(glyph) for glyph in all_portraits], axis=0).reshape(UNITS, UNITS)
    face = np.pad(np.where(mean > 0.3, mean, 0), SEARCHED)
    steps = range(-SEARCHED, SEARCHED + 1)
    shifts = [(dy, dx) for dy in steps for dx in steps]
    moved = [np.roll(face, shift, (0, 1))[SEARCHED:-SEARCHED, SEARCHED:-SEARCHED].ravel() for shift in shifts]
    templates = np.stack([template / np.linalg.norm(template) for template in moved])

    def compare(glyphs: list[Glyph]) -> tuple[np.ndarray, np.ndarray]:
        masks = np.stack([skin(glyph) for glyph in glyphs])
        match = masks @ templates.T
        distance = np.abs(np.array(shifts)[match.argmax(1)]).max(1)
        return distance, match.max(1) / np.maximum(np.linalg.norm(masks, axis=1), 1e-9)

    return compare


def test_enough_and_every_class(all_portraits):
    assert len(all_portraits) >= 500
    counts = np.bincount([glyph.skin_tone for glyph in all_portraits], minlength=len(CLASS_NAMES))
    assert counts.min() >= 100
    assert len({glyph.hexcode for glyph in all_portraits}) == len(all_portraits)


def test_all_faces_are_aligned(all_portraits, measure):
    distance, _ = measure(all_portraits)
    assert [glyph.hexcode for glyph, d in zip(all_portraits, distance, strict=True) if d > TOLERANCE] == []
    assert (distance <= 2).mean() > 0.9


def test_nothing_aligned_is_forgotten(measure):
    files = openmoji._packages()[0].get_openmoji_svg_data().iterdir()
    names = [file.name.removesuffix(".svg") for file in files if file.name.endswith(".svg")]
    medium = [Glyph(name, 3) for name in names if name.count("-1F3F") == 1 and "-1F3FD" in name]
    others = [glyph for glyph in medium if portrait(glyph.hexcode) is None]
    assert len(others) > 100
    distance, likeness = measure(others)
    aligned = (distance <= TOLERANCE) & (likeness > LIKE_A_FACE)
    assert [glyph.hexcode for glyph, found in zip(others, aligned, strict=True) if found] == []


@pytest.mark.parametrize(
    "hexcode",
    [
        "1F487-1F3FD",  # haircut
        "1F64B-1F3FD",  # raised hand
        "1F647-1F3FD",  # bowing
        "1F481-1F3FD",  # information desk
        "1F977-1F3FD",  # ninja
        "1F482-1F3FD-200D-2640-FE0F",  # guardswoman
        "1F472-1F3FD",  # Gua Pi Mao
        "1F476-1F3FD",  # baby
        "1F3C3-1F3FD",  # runner
        "1F468-1F3FD-200D-1F9BD",  # wheelchair
    ],
)
def test_the_measure_finds_what_is_not_aligned(measure, hexcode):
    assert portrait(hexcode) is None
    distance, likeness = measure([Glyph(hexcode, 3)])
    assert distance > TOLERANCE or likeness < LIKE_A_FACE


@pytest.mark.parametrize(
    ("hexcode", "skin_tone"),
    [
        ("1F9D1", 0),
        ("1F9D1-1F3FB", 1),
        ("1F469-1F3FF-200D-1F9B0", 5),
        ("1F468-200D-2695-FE0F", 0),
        ("1F46E-1F3FD-200D-2640-FE0F", 3),
        ("E0AC-200D-2642-FE0F", 0),
    ],
)
def test_in(hexcode, skin_tone):
    assert portrait(hexcode) == Glyph(hexcode, skin_tone)


@pytest.mark.parametrize(
    "hexcode",
    [
        "1F46B",  # a couple
        "1F469-1F3FB-200D-1F91D-200D-1F468-1F3FD",  # a couple of two skin tones
        "1F468-200D-2764-FE0F-200D-1F468",  # lovers
        "1F468-200D-1F466",  # a family
        "1F9CD-1F3FB",  # standing
        "1F3C4-200D-2640-FE0F",  # surfing
        "1F9D1-1F3FB-200D-1F9BC-200D-27A1-FE0F",  # in a wheelchair
        "1F468-200D-1FAA9",  # dancing
        "1F44B-1F3FB",  # a hand
        "1F600",  # a smiley
        "1F63A",  # a cat
        "1F479",  # an ogre
        "1F3FB",  # skin tone only
        "E000",  # a fish
        "1F9B0",  # hair only
        "2640",  # sign only
    ],
)
def test_out(hexcode):
    assert portrait(hexcode) is None


def test_every_entry_of_the_tables_exists_in_openmoji():
    files = openmoji._packages()[0].get_openmoji_svg_data().iterdir()
    names = {file.name.removesuffix(".svg").replace("-200D", "").replace("-FE0F", "") for file in files}
    trades = {f"1F9D1-{trade}" for trade in TRADES}
    assert {*PEOPLE, *NAMELESS, *LEFT_OUT, *WORKERS, *trades} <= names
    assert not LEFT_OUT.keys() & {*PEOPLE, *NAMELESS, *TRADES}
