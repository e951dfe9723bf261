"""The folder of golden files itself: not empty, and nothing in it that no test would read."""

from tests.support.golden import DIRECTORY, KINDS, kind_of


def test_the_folder_holds_files_of_known_kinds_only() -> None:
    paths = sorted(DIRECTORY.glob("*.safetensors"))
    assert paths, f"{DIRECTORY} holds no golden files"
    assert {kind_of(path) for path in paths} <= set(KINDS.values())
