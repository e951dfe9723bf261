"""Output files of `sample`, checked before sampling."""

import mimetypes
import os
from pathlib import Path

from stylegen.checkpoints.find_model import is_shared
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.errors import UserError
from stylegen.latent.sample_images import LATENTS
from stylegen.placement import check_writable
from stylegen.verbs.output_name import default_name
from stylegen.verbs.sample_modes import suffixes

_NO_MEDIA_TYPE = {".7z", ".avif", ".ckpt", ".flv", ".heic", ".jp2", ".jxl", ".lmdb", ".m4v", ".mkv", ".npy", ".npz"}
_NO_MEDIA_TYPE |= {".parquet", ".pkl", ".pt", ".pth", ".rar", ".safetensors", ".webm", ".webp"}


def _is_file_suffix(suffix: str) -> bool:
    """`out=figures.v2` is a folder, `out=figures.tar` a mistake."""
    known = mimetypes.MimeTypes()  # Python's table, not the system's
    tables = (*known.types_map, known.encodings_map, known.suffix_map, _NO_MEDIA_TYPE)
    return any(suffix.lower() in table for table in tables)


def _named(out: Path, settings: SampleSettings) -> Path:
    """The path with a name, also of "." and "..".

    Raises:
        UserError: a name that is too long with the end of the latents' file.
    """
    if out.name in ("", ".."):
        out = out.resolve()
    longest = 255 - len(f".{LATENTS}") * (settings.mode == "images" and settings.save_latents)
    if len(os.fsencode(out.name)) > longest:
        rule = f"its name can have at most {longest} bytes, because the latents' file is named after it"
        raise UserError(f"out={out}", rule=rule, fix="Use a shorter name, or save_latents=false")
    return out


def find_output(settings: SampleSettings, snapshot: Snapshot) -> Path:
    """The file or folder to write.

    Raises:
        UserError: a folder that is not writable, a file where a folder is needed, or the reverse.
    """
    allowed = suffixes(settings)
    if settings.out is None:
        folder = Path() if is_shared(snapshot.path) else snapshot.path.parent
        folder = folder.parent if folder.name == "snapshots" else folder
        out = folder / "sampled" / (default_name(settings, snapshot) + allowed[0])
    else:
        out = Path(settings.out).expanduser()
    out = _named(out, settings)
    one_file = out.suffix.lower() in allowed[not allowed[0] :]
    named_as_file = not one_file and _is_file_suffix(out.suffix) and not out.is_dir()
    if not one_file and ("" not in allowed or named_as_file):
        stem = out.with_suffix("") if named_as_file else out
        mode = f"mode={settings.mode}{' with audio=' * (allowed == ('.mp4',))}"
        forms = f"one {' or '.join(allowed)} file" if allowed[0] else "a folder, a .zip or an .npz"
        fix = f"Use out={stem}{allowed[0]}" + ("" if allowed[0] else ", or mode=grid for one image")
        raise UserError(f"out={out}", rule=f"{mode} writes {forms}", fix=fix)
    check_writable(out, not one_file, f"mode={settings.mode}")
    return out
