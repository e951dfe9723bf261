"""Output files of `sample`: named after the settings, checked before sampling, never overwritten by other content."""

import filecmp
import hashlib
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from stylegen.checkpoints.snapshot import Snapshot, kimg_name
from stylegen.config.settings import SampleSettings
from stylegen.errors import UserError
from stylegen.images import write_pngs

_LONG = 32  # characters of a setting's value in a file name
_FIGURE = "figure.png"  # temporary name of a single image without a name


def default_name(settings: SampleSettings, snapshot: Snapshot) -> str:
    """kimg, mode and the choices that change the images: "000064.000-grid-psi0.7-seeds0-63"."""
    images_seen = snapshot.info.get("images_seen")
    parts = [kimg_name(images_seen) if isinstance(images_seen, int) else snapshot.path.stem, settings.mode]
    if settings.mode == "truncation":
        parts.append("psis" + _short(",".join(f"{psi:g}" for psi in settings.psis)))
    else:
        parts.append(f"psi{settings.truncation_psi:g}")
    if settings.truncation_cutoff is not None:
        parts.append(f"cutoff{settings.truncation_cutoff}")
    if settings.label is not None:
        parts.append("class" + _short(settings.label))
    if settings.noise != "const" and settings.mode != "noise":
        parts.append(f"noise-{settings.noise}")
    if settings.mode != "images":  # files of single images are named after their seeds
        parts.append("seeds" + _short(settings.seeds))
    if settings.mode == "mixing":
        parts.append(f"{_short(settings.layers)}-from{_short(settings.mix_seeds)}")
    return "-".join(parts)


def _short(text: str) -> str:
    """The text as part of a file name: unchanged if possible, else its beginning and a hash."""
    plain = "".join(c if c.isalnum() or c in "-_.," else "_" for c in text)
    if plain == text and len(text) <= _LONG:
        return plain
    return f"{plain[: _LONG // 2].rstrip(',')}_{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]}"


def find_output(settings: SampleSettings, snapshot: Snapshot) -> Path:
    """The file or folder to write.

    Raises:
        UserError: a folder that is not writable, a file where a folder is needed, or the reverse.
    """
    several = settings.mode == "images"
    if settings.out is None:
        folder = snapshot.path.parent
        folder = folder.parent if folder.name == "snapshots" else folder
        out = folder / "sampled" / (default_name(settings, snapshot) + ("" if several else ".png"))
    else:
        out = Path(settings.out).expanduser()
    if not several and out.suffix.lower() != ".png":
        raise UserError(f"out={out}", rule=f"mode={settings.mode} writes one PNG file", fix=f"Use out={out}.png")
    try:
        if out.exists() and out.is_dir() != several:
            kind = "a folder" if several else "one file"
            raise UserError(
                f"out={out}",
                rule=f"mode={settings.mode} writes {kind}, and this is {'one file' if several else 'a folder'}",
                fix="Use another out=PATH",
            )
        existing = out if several else out.parent
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"out={out}", rule=f"it cannot be written ({reason})", fix="Use out=PATH in a writable folder"
        ) from error
    return out


def write_images(images: Iterable[tuple[str, Tensor]], out: Path, scale: int, keep_both: bool) -> list[Path]:
    """Write PNGs to the folder `out`, or to the file `out` for a single image without a name.

    Writes all files or none.

    Args:
        images: names and uint8 [C, H, W].
        keep_both: append a number to `out` if files with other content exist, instead of raising.

    Raises:
        UserError: a file with other content exists.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.stem[:100]}.", dir=out.parent) as folder:
        written = write_pngs(((Path(folder) / (name or _FIGURE), image) for name, image in images), scale)
        names = [path.name for path in written]
        place, number = out, 1
        while (other := _other_content(Path(folder), names, place)) is not None:
            if not keep_both:
                raise UserError(
                    f"out={out}",
                    rule=f"{other} exists with other content",
                    fix="Use another out=PATH, or move the file",
                )
            number += 1
            place = out.with_name(f"{out.name.removesuffix('.png')}_{number}{'.png' if _FIGURE in names else ''}")
        paths = [place if name == _FIGURE else place / name for name in names]
        for partial, path in zip(written, paths, strict=True):
            path.parent.mkdir(exist_ok=True)
            partial.replace(path)
    return paths


def _other_content(folder: Path, names: list[str], place: Path) -> Path | None:
    """The first existing file at `place` that differs from the new file of the same name."""
    for name in names:
        path = place if name == _FIGURE else place / name
        with suppress(FileNotFoundError):
            if not filecmp.cmp(path, folder / name, shallow=False):
                return path
    return None
