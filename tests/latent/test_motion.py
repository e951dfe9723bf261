"""Motions of the image by the input: direction, amount, composition, videos, errors."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.latent.motion import chosen_motion, frame_motions, input_transform, motion_matrix
from stylegen.latent.sample_figures.sticking_figure import StickingFigure
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from stylegen.metrics.formulas.reference_motions import rotated, translated
from tests.support.tiny import tiny_generator

T: dict[str, Any] = {"channel_base": 512, "channel_max": 16, "num_layers": 6}
R = T | {"conv_kernel": 1, "use_radial_filters": True}


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    G = tiny_generator(32, name="stylegan3", **R)
    G.synthesis.output_scale = 1.0  # type: ignore[assignment]  # untrained images have little contrast
    return Sampler(G, batch_size=4)


def ratio(a: Tensor, b: Tensor, valid: Tensor) -> float:
    """Peak signal to noise of gray values, in dB."""
    squares = (a.float() - b.float()).square() * valid
    return 10 * math.log10(255**2 / max(float(squares.sum()) / float(valid.sum()) / 3, 1e-6))


@pytest.mark.parametrize(("x", "y"), [(4.0, 0.0), (-3.0, 2.0), (0.5, -1.25)])
def test_translate_moves_the_image_to_the_right_and_down(sampler: Sampler, x: float, y: float) -> None:
    """By whole pixels the same pixels, by fractions a resampling: 40 dB are two gray levels, mostly rounding."""
    seeds = [0, 1, 2]
    still = sampler.images(seeds)
    moved = sampler.replaced(motion=motion_matrix((x / 32, y / 32))).images(seeds)
    expected, valid = translated(still.float(), torch.tensor([[x, y]]).expand(3, 2), whole=x == int(x))
    assert ratio(moved, expected, valid) > 40
    assert ratio(moved, still, valid) < 34


@pytest.mark.parametrize("angle", [90.0, 25.0])
def test_rotate_is_counter_clockwise(sampler: Sampler, angle: float) -> None:
    still = sampler.images([0, 1])
    moved = sampler.replaced(motion=motion_matrix(rotate=angle)).images([0, 1])
    expected, valid = rotated(still.float(), torch.full((2,), math.radians(angle)))
    assert ratio(moved, expected, valid) > 40
    assert ratio(moved, still, valid) < 34
    if angle == 90:
        assert (moved.int() - still.rot90(1, [2, 3]).int()).abs().max() <= 1


def test_first_rotated_then_translated_and_inverted_for_the_input() -> None:
    both = motion_matrix((0.3, -0.1), 40)
    torch.testing.assert_close(both, motion_matrix((0.3, -0.1)) @ motion_matrix(rotate=40))
    many = torch.stack([both, motion_matrix()])
    torch.testing.assert_close(input_transform(many) @ many, torch.eye(3, dtype=torch.float64).expand(2, 3, 3))


def test_settings_and_python_give_the_same_motion(sampler: Sampler) -> None:
    G = sampler.generator
    typed, given = chosen_motion(G, "0.1,-0.2", 30), chosen_motion(G, (0.1, -0.2), 30.0)
    assert typed is not None
    assert given is not None
    assert torch.equal(typed, given)
    text = ",".join(map(str, given.flatten().tolist()))
    for matrix in (text, given, given.tolist()):
        found = chosen_motion(G, transform=matrix)
        assert found is not None
        torch.testing.assert_close(found, given, rtol=0, atol=1e-12)
    assert chosen_motion(tiny_generator()) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"translate": "0.1"}, "translate=0.1: must be x,y in units of the image's width"),
        ({"translate": "nan,0"}, "translate=nan,0: must be x,y"),
        ({"translate": (0.0, 2000.0)}, "from -1000 to 1000"),
        ({"rotate": math.inf}, "rotate=inf: must be an angle"),
        ({"transform": "1,0,0,0,1,0,0,0"}, "must be a matrix of 3x3 numbers"),
        ({"transform": "1,0,nan,0,1,0,0,0,1"}, "must be a matrix of 3x3 numbers"),
        ({"transform": torch.eye(2)}, "must be a matrix of 3x3 numbers"),
        ({"transform": "1,0,0,2,0,0,0,0,1"}, "a singular matrix has no inverse"),
        ({"transform": "1,0,0,0,1,0,0,0.1,1"}, "the last row must be 0,0,1"),
        ({"transform": "1,0,0,0,1,0,0,0,1", "rotate": 3.0}, "transform= with rotate=3: transform is the whole motion"),
    ],
)
def test_bad_motions(sampler: Sampler, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen_motion(sampler.generator, **settings)


def test_other_networks_cannot_be_moved() -> None:
    for settings in ({"rotate": 3.0}, {"translate": "0,0.1"}, {"transform": torch.eye(3)}):
        with pytest.raises(UserError, match=r"this network is stylegan2, whose input is fixed.*Omit \w+"):
            chosen_motion(tiny_generator(), **settings)


@pytest.mark.parametrize("kind", ["circle", "rotate"])
def test_frames_of_a_moving_video(sampler: Sampler, kind: str) -> None:
    """The motion of each frame, after the sampler's own, at any batch size; one seed is enough for a loop."""
    pose = motion_matrix((0.0, 0.05))
    moved, timing = sampler.replaced(motion=pose), Timing(fps=24, frames=6)
    video = SampleVideo([5], 1, None, timing, ".webp", motion=(kind, 0.1))
    frames = torch.stack(list(video.generate(moved)))
    moved.batch_size = 1
    again = torch.stack(list(video.generate(moved)))
    assert (frames.int() - again.int()).abs().max() <= 1
    k = 2
    angle = 2 * math.pi * k / 6
    own = (
        motion_matrix(rotate=120) if kind == "rotate" else motion_matrix((0.1 * math.cos(angle), 0.1 * math.sin(angle)))
    )
    expected = sampler.replaced(motion=own @ pose).images([5])[0]
    assert (frames[k].int() - expected.int()).abs().max() <= 1
    assert len(frames) == 6
    torch.testing.assert_close(frame_motions(kind, 0.1, 7, closed=False)[-1], frame_motions(kind, 0.1, 6, True)[0])
    with pytest.raises(UserError, match="at least two"):
        SampleVideo([5], 1, None, timing, ".webp")


def test_the_sticking_figure_shows_a_column_over_time(sampler: Sampler) -> None:
    other = Sampler(tiny_generator(32))
    cells = StickingFigure(seeds=[3, 4, 9], frames=16, second=other).cells(sampler)
    assert cells.images.shape == (2 * 6, 3, 32, 32)
    assert cells.captions.columns[3:] == ["stylegan2, first", "stylegan2, over time", "stylegan2, last"]
    for k, own in ((0, sampler), (3, other)):
        first, over_time, last = cells.images[6 + k : 9 + k].int()  # the second row, from 4 to 9
        assert (first - own.images([4])[0].int()).abs().max() <= 1
        assert (last - own.images([9])[0].int()).abs().max() <= 1
        assert torch.equal(over_time[:, :, 0], first[:, :, 16])
        assert torch.equal(over_time[:, :, 31], last[:, :, 16])
        a, b = own.truncated_ws([4, 9])
        frame = own.render((a + (b - a) * 7 / 15)[None], [4], psi=1)[0]
        assert (over_time[:, :, 14:16] - frame[:, :, 16:17].int()).abs().max() <= 1
    with pytest.raises(UserError, match="mode=sticking with one seed"):
        StickingFigure(seeds=[1])
