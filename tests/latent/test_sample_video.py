from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylegen.animation import frame_times
from stylegen.errors import UserError
from stylegen.images import make_grid
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from tests.support.tiny import tiny_generator


def video(
    count: int = 8,
    tiles: int = 2,
    columns: int | None = None,
    suffix: str = ".webp",
    timing: Timing | None = None,
    **settings: Any,
) -> SampleVideo:
    timing = timing or Timing(**{"fps": 25, "frames": 3, **settings})
    return SampleVideo(list(range(count)), tiles, columns, timing, suffix)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_tiles_meet_their_seeds(batch_size: int) -> None:
    """Frame 3 k of tile i is seed 4 i + k; between them the frames differ from both."""
    sampler = Sampler(tiny_generator(), batch_size=batch_size)
    frames = list(video().generate(sampler))
    assert len(frames) == 4 * 3
    for k in range(4):
        expected = make_grid(sampler.images([k, 4 + k]), 2)
        assert (frames[3 * k].int() - expected.int()).abs().max() <= 1
        assert (frames[3 * k + 1].int() - expected.int()).abs().max() > 1


def test_random_noise_is_the_same_in_all_frames() -> None:
    sampler = Sampler(tiny_generator(), noise="random", psi=0.0)
    first, *rest = video().generate(sampler)  # psi 0: all styles are w_avg, only noise could differ
    assert all((frame.int() - first.int()).abs().max() <= 1 for frame in rest)


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_equal_seeds_give_equal_bytes(suffix: str, tmp_path: Path) -> None:
    sampler = Sampler(tiny_generator())
    for name in ("a", "b"):
        video(tiles=4, columns=4, suffix=suffix).write(sampler, 2, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    with Image.open(tmp_path / f"a{suffix}") as found:
        assert (found.n_frames, found.size) == (6, (2 * (4 * 18 - 2), 2 * 16))
        assert found.info["loop"] == 0
        found.load()
        assert found.info["duration"] == 40


@pytest.mark.parametrize(("count", "tiles"), [(8, 3), (1, 1), (4, 4), (2, 4)])
def test_seeds_that_cannot_be_divided_are_refused(count: int, tiles: int) -> None:
    with pytest.raises(UserError, match=f"Use seeds=0-{4 * tiles - 1}"):
        video(count, tiles)


def test_too_large_animations_are_refused() -> None:
    video(frames=24).check_size(512)
    with pytest.raises(UserError, match="million pixels"):
        video(frames=1000).check_size(512)
    with pytest.raises(UserError, match="16,383 on a side"):
        video(200, tiles=100, columns=100, frames=1).check_size(256)


@pytest.mark.parametrize(
    ("fps", "suffix", "unit"), [(24, ".webp", 1), (24, ".gif", 10), (7, ".gif", 10), (50, ".GIF", 10)]
)
def test_frame_times_add_up(fps: float, suffix: str, unit: int) -> None:
    times = frame_times(60, fps, suffix)
    assert len(times) == 60
    assert abs(sum(times) - 60_000 / fps) <= unit / 2
    assert all(time % unit == 0 and abs(time - 1000 / fps) < unit for time in times)
