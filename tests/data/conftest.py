"""Fixtures of the data tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.datasets import write_archive, write_folder


@pytest.fixture(params=["folder", "zip"])
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Writes a dataset as a folder, and in a second run of the same test as a zip."""

    def write(files: dict[str, bytes], note: Any = None, name: str = "data") -> Path:
        if request.param == "folder":
            return write_folder(tmp_path / name, files, note)
        return write_archive(tmp_path / f"{name}.zip", files, note)

    return write
