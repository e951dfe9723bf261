"""What a collection of images is like, from its headers."""

from pathlib import Path

import pytest

from stylegen.data.survey import Survey, chosen_resolution, survey_images
from stylegen.errors import UserError
from tests.support.datasets import encode, write_archive, write_folder


def survey(path: Path) -> Survey:
    found = survey_images(str(path))
    assert found is not None
    return found


def folder(top: Path, sizes: list[tuple[int, int]], channels: int = 3, note: object = None) -> Path:
    files = {f"{i:03d}.png": encode(i, size, channels) for i, size in enumerate(sizes)}
    return write_folder(top / "images", files, note)


def test_images_that_can_be_trained_on_as_they_are(tmp_path: Path) -> None:
    found = survey(folder(tmp_path, [(16, 16)] * 3))
    assert (found.count, found.stored, found.side, found.natural, found.channels) == (3, 16, 16, 16, "rgb")
    assert str(found) == "3 images of 16x16 px, color, no labels"


def test_gray_images(tmp_path: Path) -> None:
    found = survey(folder(tmp_path, [(16, 16)] * 3, channels=1))
    assert (found.stored, found.channels) == (16, "gray")


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_must_be_flattened(channels: int, tmp_path: Path) -> None:
    found = survey(folder(tmp_path, [(16, 16)] * 3, channels))
    assert (found.stored, found.side, found.channels) == (None, 16, "gray" if channels == 2 else "rgb")


def test_mixed_channels_become_color(tmp_path: Path) -> None:
    files = {"a.png": encode(0, (16, 16), 1), "b.png": encode(1, (16, 16), 3)}
    found = survey(write_folder(tmp_path / "mixed", files))
    assert (found.stored, found.side, found.channels) == (None, 16, "rgb")


@pytest.mark.parametrize(
    ("sizes", "natural"),
    [
        ([(40, 40)] * 20, 32),
        ([(40, 90), (70, 33)], 32),
        ([(9, 300)] + [(70, 80)] * 10, 64),  # less than a tenth is smaller
        ([(9, 300)] * 2 + [(70, 80)] * 10, 8),
        ([(3, 3)], 8),
    ],
)
def test_nine_tenths_of_the_images_fill_the_resolution(
    sizes: list[tuple[int, int]], natural: int, tmp_path: Path
) -> None:
    found = survey(folder(tmp_path, sizes))
    assert (found.stored, found.side, found.natural, chosen_resolution(found)) == (None, None, natural, natural)


def test_one_of_another_size_does_not_change_the_resolution(tmp_path: Path) -> None:
    found = survey(folder(tmp_path, [(32, 32)] * 20 + [(9, 9)]))
    assert (found.stored, found.side, chosen_resolution(found)) == (None, 32, 32)


def test_large_photographs_get_256_px_and_prepared_images_keep_theirs(tmp_path: Path) -> None:
    photographs = survey(folder(tmp_path / "a", [(1030, 1030)]))
    assert (photographs.natural, chosen_resolution(photographs)) == (1024, 256)
    assert chosen_resolution(survey(folder(tmp_path / "b", [(512, 512)]))) == 512


@pytest.mark.parametrize(
    ("note", "text"),
    [
        ({"labels": [["000.png", 0], ["001.png", 2]]}, "2 classes"),
        ({"labels": [["000.png", 0], ["001.png", 2]], "class_names": ["a", "b", "c"]}, "3 classes"),
        ({"labels": [["000.png", [0, 1.5]], ["001.png", [2, 1]]]}, "labels of 2 numbers"),
    ],
)
def test_labels(note: object, text: str, tmp_path: Path) -> None:
    assert survey(folder(tmp_path, [(16, 16)] * 2, note=note)).labels == text


def test_files_that_are_no_images(tmp_path: Path) -> None:
    assert survey_images(str(write_folder(tmp_path / "empty", {}))) is None
    assert survey_images(str(write_folder(tmp_path / "text", {"a.txt": b"text", "b.png": b"text"}))) is None
    found = survey(write_archive(tmp_path / "one.zip", {"a.png": encode(0, (16, 16)), "b.png": b"text"}))
    assert (found.count, found.stored, found.natural) == (2, None, 16)
    with pytest.raises(UserError, match="does not exist"):
        survey_images(str(tmp_path / "nowhere"))


def test_formats_that_only_prepare_reads(tmp_path: Path) -> None:
    found = survey(write_folder(tmp_path / "scans", {"a.tif": encode(0, (16, 16), format="TIFF")}))
    assert (found.stored, found.side) == (None, 16)
