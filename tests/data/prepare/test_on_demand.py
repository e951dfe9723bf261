"""`data.convert`: training converts images by itself, as `prepare` would."""

from pathlib import Path

import pytest

from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.on_demand import converted_path
from stylegen.data.prepare.preparation import prepare
from stylegen.data.sources import open_source
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder

FILES = {"a.png": encode(0, (20, 31)), "b/c.jpg": encode(1, (40, 33), format="JPEG"), "d.png": encode(2, (9, 9), 4)}
LABELS = {"labels": [["a.png", 1], ["b/c.jpg", 0], ["d.png", 2]], "class_names": ["x", "y", "z"]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("channels", ["rgb", "gray"])
def test_it_is_what_prepare_writes(channels: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "photos", FILES, LABELS)
    ds = ImageDataset(path, 16, use_labels=True, convert=channels)
    prepare(open_source(path), tmp_path / "own.zip", Recipe(16, channels=channels), processes=1)
    assert ds.fingerprint == ImageDataset(tmp_path / "own.zip").fingerprint
    assert (ds.name, ds.spec.resolution, ds.spec.channels, ds.spec.num_classes) == (
        *("photos", 16, 3 if channels == "rgb" else 1, 3),
    )
    assert ds.class_names == ["x", "y", "z"]
    assert ds.notices() == []


def test_it_is_made_once_for_the_same_images_and_settings(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "photos", FILES)
    first = converted_path(path, 16, "rgb")
    before = first.stat().st_mtime_ns
    assert converted_path(path, 16, "rgb") == first
    assert first.stat().st_mtime_ns == before
    others = [converted_path(path, 8, "rgb"), converted_path(path, 16, "gray")]
    write_folder(path, {"e.png": encode(3, (20, 20))})
    others.append(converted_path(path, 16, "rgb"))
    write_folder(path, {}, {"labels": [[name, 0] for name in [*FILES, "e.png"]]})
    others.append(converted_path(path, 16, "rgb"))
    assert len({first, *others}) == 5


def test_what_is_left_out_is_named_each_time(tmp_path: Path) -> None:
    bad = {f"bad{i}.png": b"text" for i in range(3)}
    path = write_folder(tmp_path / "photos", {**FILES, **bad, "x.heic": b"text"})
    for _ in range(2):
        ds = ImageDataset(path, 16, convert="rgb")
        assert ds.num_images == 3
        (notice,) = ds.notices()
        assert notice.startswith("4 images left out (bad0.png: not a PNG, JPEG")
        assert "and 1 more, see " in notice


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"without data\.resolution"):
        ImageDataset(write_folder(tmp_path / "photos", FILES), convert="rgb")
    with pytest.raises(UserError, match="contains no images"):
        ImageDataset(write_folder(tmp_path / "empty", {}), 16, convert="rgb")
    with pytest.raises(UserError, match="none of 1 images can be used"):
        ImageDataset(write_folder(tmp_path / "text", {"a.png": b"text"}), 16, convert="rgb")
