from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegen.images import CAPTION_PX, make_grid, to_float, to_pil, to_uint8, write_png, write_pngs
from tests.support.pillow import from_pil


def test_every_gray_level_survives_the_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)
    assert to_float(levels).min() == -1
    assert to_float(levels).max() == 1


def test_values_beyond_the_range_are_clamped() -> None:
    assert to_uint8(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_every_channel(channels: int, tmp_path: Path) -> None:
    image = torch.arange(channels * 35, dtype=torch.uint8).reshape(channels, 5, 7)
    write_png(tmp_path / "new" / "x.png", image)
    with Image.open(tmp_path / "new" / "x.png") as opened:
        assert torch.equal(from_pil(opened), image)
    assert torch.equal(from_pil(to_pil(image)), image)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.png"]


def test_scale_repeats_pixels(tmp_path: Path) -> None:
    image = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    write_png(tmp_path / "x.png", image, scale=3)
    with Image.open(tmp_path / "x.png") as opened:
        large = from_pil(opened)
    assert torch.equal(large, image.repeat_interleave(3, 1).repeat_interleave(3, 2))


def test_many_images_are_written_as_one_by_one(tmp_path: Path) -> None:
    images = torch.arange(200 * 12).reshape(200, 3, 2, 2).to(torch.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(200)]
    assert write_pngs(zip(paths, images, strict=True), scale=2) == paths
    for path, image in zip(paths, images, strict=True):
        write_png(tmp_path / "one.png", image, scale=2)
        assert path.read_bytes() == (tmp_path / "one.png").read_bytes()


def test_an_image_that_cannot_be_written_ends_the_generation(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    generated = []

    def images() -> Iterator[tuple[Path, torch.Tensor]]:
        for i in range(1000):
            generated.append(i)
            yield tmp_path / "file" / f"{i}.png", torch.zeros(3, 2, 2, dtype=torch.uint8)

    with pytest.raises(OSError, match="file"):
        write_pngs(images())
    assert len(generated) < 100


def test_grid_places_images_row_by_row() -> None:
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 2, 2)
    grid = make_grid(images, columns=3, padding=1)
    assert grid.shape == (1, 5, 8)
    assert [int(grid[0, 0, x]) for x in (0, 3, 6)] == [0, 1, 2]
    assert [int(grid[0, 3, x]) for x in (0, 3)] == [3, 4]
    assert grid[0, 3, 6] == 255
    assert (grid[0, 2] == 255).all()


def test_a_caption_is_below_the_image(tmp_path: Path) -> None:
    image = torch.full((3, 40, 100), 7, dtype=torch.uint8)
    write_png(tmp_path / "a.png", image, scale=2, caption="16 px, alpha 0.50")
    found = from_pil(Image.open(tmp_path / "a.png"))
    assert found.shape == (3, 80 + CAPTION_PX, 200)
    assert (found[:, :80] == 7).all()
    assert found[:, 80:].min() < 100  # text on white
    assert found[:, 80:].max() == 255
