from pathlib import Path

import pytest

from stylegen.errors import UserError
from stylegen.placement import place


class Files:
    """Writes a folder of files, or a single file for one text."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def __call__(self, path: Path) -> None:
        if len(self.texts) == 1:
            path.write_text(self.texts[0])
            return
        path.mkdir()
        for i, text in enumerate(self.texts):
            (path / f"{i}.txt").write_text(text)


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    assert place(Files("a"), tmp_path / "new" / "x.png", keep_both=False) == [tmp_path / "new" / "x.png"]
    assert (tmp_path / "new" / "x.png").read_text() == "a"
    folder = tmp_path / "psi0.7"
    assert place(Files("a", "b"), folder, keep_both=False) == [folder / "0.txt", folder / "1.txt"]
    assert (folder / "1.txt").read_text() == "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "psi0.7"]


def test_other_content_is_kept(tmp_path: Path) -> None:
    for out, files in ((tmp_path / "x.png", Files("a")), (tmp_path / "psi0.7", Files("a", "b"))):
        first = place(files, out, keep_both=False)
        assert place(files, out, keep_both=False) == first  # equal content
        changed = Files("c") if out.suffix == ".png" else Files("a", "c")
        with pytest.raises(UserError, match="exists with other content"):
            place(changed, out, keep_both=False)
        place(changed, out, keep_both=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["psi0.7", "psi0.7_2", "x.png", "x_2.png"]
    assert (tmp_path / "x.png").read_text() == "a"
    assert (tmp_path / "psi0.7" / "1.txt").read_text() == "b"
    assert (tmp_path / "x_2.png").read_text() == "c"


def test_a_folder_gains_files_beside_those_it_has(tmp_path: Path) -> None:
    place(Files("a", "b"), tmp_path / "x", keep_both=False)
    place(Files("a", "b", "c"), tmp_path / "x", keep_both=False)
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["0.txt", "1.txt", "2.txt"]
