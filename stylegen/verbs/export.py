"""`export`: a trained generator as ONNX, torch.export, PyTorch or Hugging Face, checked against the network."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from stylegen.bounds import brief
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.settings import ExportSettings
from stylegen.cpus import use_default_threads
from stylegen.errors import UserError
from stylegen.exports import FORMATS
from stylegen.exports.export_source import Source
from stylegen.placement import check_writable, place


@dataclass(frozen=True)
class ExportResult:
    """What was written, and lines about it."""

    out: Path
    size: int
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join([f"{self.out} ({self.size / 1e6:.1f} MB)", *self.lines])


def run(settings: ExportSettings) -> ExportResult:
    """Write and check the export.

    Raises:
        UserError: a bad snapshot; a setting that the format does not use; an output that exists or cannot be written; a
            network that the format cannot express; a difference above the limit.
    """
    form, out, lines = FORMATS[settings.format], find_output(settings), list[str]()
    use_default_threads()
    source = Source(load_snapshot(settings.snapshot), settings.input, settings.noise, settings.license, out)
    try:
        files = place(lambda path: lines.extend(form.write(source, path)), out, keep_both=False)
        return ExportResult(out, sum(file.stat().st_size for file in files), lines)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"out={out}", rule=f"it cannot be written ({reason})", fix="Use out=PATH in a folder with space"
        ) from error


def find_output(settings: ExportSettings) -> Path:
    """The new file or folder.

    Raises:
        UserError: another format's suffix or settings; a path that exists or cannot be written.
    """
    form, out = FORMATS[settings.format], Path(settings.out).expanduser()
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name in ("input", "noise", "license"):
        value = getattr(settings, name)
        if name not in form.settings and value != defaults[name]:
            users = " or ".join(f"format={key}" for key, other in FORMATS.items() if name in other.settings)
            raise UserError(
                f"{name}={value} with format={settings.format}",
                rule=f"{name} is a setting of {users}",
                fix=f"Omit {name}",
            )
    if settings.license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", settings.license):
        given, rule = brief(settings.license), "the Hub's identifiers have small letters, digits, dots and hyphens"
        raise UserError(f"license={given}", rule=rule, fix="Use license=mit or license=cc-by-4.0")
    suffix = out.suffix.lower()
    owner = next((name for name, other in FORMATS.items() if other.suffix and other.suffix == suffix), settings.format)
    if owner != settings.format or (form.suffix and suffix != form.suffix):
        what = f"one {form.suffix} file" if form.suffix else "a folder"
        file = out / f"network{form.suffix}" if out.is_dir() else f"{out}{form.suffix}"
        fix = f"format={owner}" if owner != settings.format else f"out={file}"
        raise UserError(f"out={out}", rule=f"format={settings.format} writes {what}", fix=f"Use {fix}")
    if out.is_symlink() or out.exists():
        raise UserError(f"out={out}", rule="it exists already", fix="Use another out=PATH, or move it")
    check_writable(out, not form.suffix, f"format={settings.format}")
    return out
