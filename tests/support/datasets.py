"""Small datasets; the same arguments always give the same bytes."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode(number: int, size: tuple[int, int] = (8, 8), channels: int = 3, format: str = "PNG") -> bytes:
    """Noise image `number`; the same arguments give the same bytes."""
    noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(noise[..., 0] if channels == 1 else noise)
    assert image.mode == _MODES[channels]
    image.save(buffer, format=format)
    return buffer.getvalue()


def write_folder(top: Path, files: dict[str, bytes], note: Any = None) -> Path:
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    top.mkdir(exist_ok=True)
    if note is not None:
        (top / "dataset.json").write_text(json.dumps(note))
    return top


def write_archive(path: Path, files: dict[str, bytes], note: Any = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        if note is not None:
            archive.writestr("dataset.json", json.dumps(note))
    return path
