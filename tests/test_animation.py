from pathlib import Path

import pytest
from PIL import Image

from stylegen.animation import SUFFIXES, write_animation

COLORS = ["red", "lime", "blue"]


def frames(mode: str = "RGB") -> list[Image.Image]:
    return [Image.new("RGB", (20, 10), color).convert(mode) for color in COLORS]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_endless_loop_of_all_frames(suffix: str, mode: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_animation(tmp_path / f"{name}{suffix}", frames(mode), [100, 100, 700])
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    with Image.open(tmp_path / f"a{suffix}") as found:
        assert (found.size, found.n_frames, found.info["loop"]) == ((20, 10), 3, 0)
        shown = []
        for i, expected in enumerate(frames(mode)):
            found.seek(i)
            found.load()
            shown.append(found.info["duration"])
            for a, b in zip(
                found.convert("RGB").getpixel((5, 5)), expected.convert("RGB").getpixel((5, 5)), strict=True
            ):
                assert abs(a - b) < 12  # WebP with loss, GIF with a palette
        assert shown == [100, 100, 700]


def test_a_format_may_be_named_apart_from_the_file(tmp_path: Path) -> None:
    write_animation(tmp_path / "a.partial", frames(), 100, ".webp")
    with Image.open(tmp_path / "a.partial") as found:
        assert found.format == "WEBP"


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="webp"):
        write_animation(tmp_path / "none" / "a.webp", frames(), 100)
