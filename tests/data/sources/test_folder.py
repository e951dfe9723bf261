"""Cases specific to folders: links, permissions."""

import sys

import pytest

from stylegen.data.sources.folder import FolderSource
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_to_folders_are_followed_once(tmp_path):
    elsewhere = write_folder(tmp_path / "elsewhere", {"x.png": encode(1)})
    top = write_folder(tmp_path / "top", {"y.png": encode(2)})
    (top / "linked").symlink_to(elsewhere)
    (top / "up").symlink_to(top)  # would be walked forever
    assert FolderSource(top).keys() == ["linked/x.png", "y.png"]


def test_a_image_that_went_away(tmp_path):
    source = FolderSource(write_folder(tmp_path / "top", {"y.png": encode(2)}))
    (tmp_path / "top" / "y.png").unlink()
    with pytest.raises(UserError, match=r"y\.png cannot be read"):
        source.read("y.png")


def test_a_note_of_gigabytes_is_not_read(tmp_path):
    path = write_folder(tmp_path / "data", {"a.png": encode(0)})
    with (path / "dataset.json").open("wb") as file:
        file.truncate(3 * 2**30)  # sparse: takes no space
    with pytest.raises(UserError, match=r"dataset\.json cannot be read \(3072 MiB, more than 128 MiB\)"):
        FolderSource(path)
