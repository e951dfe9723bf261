"""The folder of golden files: not empty, and every file is read by a test."""

from tests.support.golden import DIRECTORY, KINDS, kind_of


def test_the_folder_holds_files_of_known_kinds_only() -> None:
    paths = sorted(DIRECTORY.glob("*.safetensors"))
    assert paths, f"{DIRECTORY} holds no golden files"
    assert {kind_of(path) for path in paths} <= set(KINDS.values())
