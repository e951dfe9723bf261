from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen.animation import frame_times
from stylegen.errors import UserError
from stylegen.images import enlarged, make_grid
from stylegen.latent.sample_figures.interpolation_figure import InterpolationFigure
from stylegen.latent.sample_figures.mixing_figure import MixingFigure
from stylegen.latent.sample_labels import GivenLabels
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from stylegen.latent.truncation import class_centers
from tests.support.sounds import read_video
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


def test_the_last_frame_is_to_the_first_as_any_to_its_next() -> None:
    """The steps of a closed walk change slowly, also that from the last frame to the first; an open walk jumps."""
    sampler = Sampler(tiny_generator(), batch_size=64)
    for closed in (True, False):
        frames = torch.stack(list(video(4, tiles=1, frames=16, closed=closed).generate(sampler))).float()
        steps = (frames.roll(-1, 0) - frames).flatten(1).norm(dim=1)
        neighbors = (steps[-2] + steps[0]) / 2
        assert (steps[-1] / neighbors < 1.25) == closed
        assert (steps[-1] / neighbors > 0.8) or not closed


def test_keyframes_show_their_seeds() -> None:
    """The first and last frames of an open walk, and the frame nearest to each time."""
    sampler = Sampler(tiny_generator())
    timing = Timing(fps=10, keyframes=[0, 0.3, 1.12], closed=False)
    frames = list(video(3, tiles=1, timing=timing).generate(sampler))
    assert len(frames) == 12
    for seed, frame in ((0, 0), (1, 3), (2, 11)):
        assert (frames[frame].int() - sampler.images([seed])[0].int()).abs().max() <= 1


def test_paths_meet_images_of_different_classes() -> None:
    """Also with truncation toward the class of each; nothing in between belongs to a class."""
    generator = tiny_generator(num_classes=2)
    centers = class_centers(generator, torch.arange(2), count=4)
    sampler = Sampler(generator, psi=0.3, labels=GivenLabels(torch.eye(2)), centers=centers)
    expected = sampler.images([0, 1]).int()
    assert (expected[0] - expected[1]).abs().max() > 1
    frames = list(video(2, tiles=1).generate(sampler))
    strip = InterpolationFigure(seeds=[0, 1], frames=2).cells(sampler).images
    mixed = MixingFigure(seeds=[0], others=[1], layers="all").cells(sampler).images
    for pair in (torch.stack([frames[0], frames[3]]), strip[[0, 2]], mixed[[2, 3]]):
        assert (pair.int() - expected).abs().max() <= 1


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


def test_an_mp4_has_the_frames_of_the_walk(tmp_path: Path) -> None:
    sampler, walk = Sampler(tiny_generator()), video(suffix=".mp4", closed=False)
    walk.check_size(2048)
    walk.write(sampler, 2, tmp_path / "a.mp4")
    found, fps = read_video(tmp_path / "a.mp4")
    expected = np.stack([np.asarray(enlarged(frame, 2)) for frame in walk.generate(sampler)])
    assert (found.shape, fps) == (expected.shape, 25)
    assert np.abs(found.astype(int) - expected).mean() < 12  # lossy, with half the resolution of chroma


def test_an_open_walk_plays_once(tmp_path: Path) -> None:
    for suffix in (".webp", ".gif"):
        video(suffix=suffix, closed=False).write(Sampler(tiny_generator()), 1, tmp_path / f"a{suffix}")
        with Image.open(tmp_path / f"a{suffix}") as found:
            assert (found.n_frames, found.info.get("loop", 1)) == (10, 1)


def test_too_large_animations_are_refused() -> None:
    video(frames=24).check_size(512)
    with pytest.raises(UserError, match=r"million pixels.*Use out=FILE\.mp4"):
        video(frames=1000).check_size(512)
    video(frames=1000, suffix=".mp4").check_size(512)
    with pytest.raises(UserError, match="16,384 pixels on a side"):
        video(200, tiles=100, columns=100, suffix=".mp4").check_size(256)
    with pytest.raises(UserError, match="fps=60"):
        video(fps=60).check_size(16)
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
