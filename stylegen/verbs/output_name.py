"""Names of the output files of `sample`, after the settings."""

import hashlib
from pathlib import Path

from stylegen.checkpoints.find_model import is_shared
from stylegen.checkpoints.snapshot import Snapshot, kimg_name
from stylegen.config.sample_settings import SampleSettings
from stylegen.verbs.sample_motion import motion_names
from stylegen.verbs.video_timing import video_names

_LONG = 32  # characters of a setting's value in a file name


def default_name(settings: SampleSettings, snapshot: Snapshot) -> str:
    """kimg, mode and the choices that change the images: "000064.000-grid-psi0.7-seeds0-63"."""
    images_seen = None if is_shared(snapshot.path) else snapshot.info.get("images_seen")
    parts = [kimg_name(images_seen) if isinstance(images_seen, int) else snapshot.path.stem, settings.mode]
    if settings.mode == "truncation":
        parts.append("psis" + _short(",".join(f"{psi:g}" for psi in settings.psis)))
    else:
        parts.append(f"psi{settings.truncation_psi:g}")
    if settings.truncation_cutoff is not None:
        parts.append(f"cutoff{settings.truncation_cutoff}")
    parts += ["class-center"] * (settings.truncation_center == "class")
    if settings.label is not None:
        parts.append("class" + _short(settings.label))
    if settings.noise != "const" and settings.mode != "noise":
        parts.append(f"noise-{settings.noise}")
    parts += [_short(part) for part in motion_names(settings)]
    parts += [f"latents-{_short(Path(settings.latents).stem)}"] if settings.latents else []
    parts += [settings.seed_source] * (settings.seed_source != "auto")
    if settings.mode != "images":  # files of single images are named after their seeds
        parts += ["raw"] * (not settings.captions)
        parts.append("seeds" + _short(settings.seeds))
    parts += [_short(part) for part in video_names(settings)] * (settings.mode == "video")
    parts += [f"frames{settings.frames}"] * (settings.frames is not None)
    if settings.mode == "directions":
        parts.append(f"{_short(Path(settings.directions or '').stem)}-{_short(settings.direction)}")
    if settings.mode == "mixing":
        parts.append(f"{_short(settings.layers)}-from{_short(settings.mix_seeds)}")
        parts += [f"latents-{_short(Path(settings.mix_latents).stem)}"] if settings.mix_latents else []
    parts += [f"vs-{_short(Path(settings.compare).stem)}"] if settings.compare else []
    return "-".join(parts)


def _short(text: str) -> str:
    """The text as part of a file name: unchanged if possible, else its beginning and a hash."""
    plain = "".join(c if c.isalnum() or c in "-_.," else "_" for c in text)
    if plain == text and len(text) <= _LONG:
        return plain
    return f"{plain[: _LONG // 2].rstrip(',')}_{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]}"
