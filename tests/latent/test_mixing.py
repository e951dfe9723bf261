import pytest
import torch

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.latent.mixing import layers_text, mix, parse_layers
from stylegen.networks import build_generator
from tests.support.tiny import tiny_generator


def slots(resolution: int, num_ws: int) -> list[int]:
    """Of StyleGAN and StyleGAN2: two slots per resolution."""
    return [min(4 * 2 ** (k // 2), resolution) for k in range(num_ws)]


def test_mixing_takes_exactly_the_named_layers() -> None:
    a, b = torch.zeros(2, 6, 3), torch.ones(1, 6, 3)
    assert mix(a, b, [1, 4])[:, :, 0].tolist() == [[0, 1, 0, 0, 1, 0]] * 2
    assert mix(a, b, {1: 0.25, 4: 2.0})[:, :, 0].tolist() == [[0, 0.25, 0, 0, 2, 0]] * 2
    assert not a.any()


def test_no_layers_give_the_first_source_and_weight_1_the_second() -> None:
    a, b = randomness.normal(0, "tests/mixing", torch.arange(2), (2, 4, 8))
    assert torch.equal(mix(a, b, []), a)
    assert torch.equal(mix(a, b, parse_layers("none", slots(8, 4))), a)
    assert torch.equal(mix(a, b, dict.fromkeys(range(4), 0.0)), a)
    assert torch.equal(mix(a, b, range(4)), b)


def test_layer_names_follow_the_papers_figures() -> None:
    assert list(parse_layers("coarse", slots(1024, 18))) == [0, 1, 2, 3]
    assert list(parse_layers("middle", slots(1024, 18))) == [4, 5, 6, 7]
    assert list(parse_layers("fine", slots(1024, 18))) == list(range(8, 18))
    assert list(parse_layers("4-7,0", slots(32, 8))) == [0, 4, 5, 6, 7]
    assert list(parse_layers("middle", slots(16, 6))) == [4, 5]
    assert list(parse_layers("all", slots(16, 6))) == list(range(6))


def test_stylegan3_layers_have_the_names_of_their_bandwidth() -> None:
    """Cutoffs 2, 2, 3.2, 5.0, 8, 12.7, 20.2, 32, ... need 4, 4, 6.3, 10, 16, 25, 40, 64, ... samples."""
    with torch.device("meta"):
        T = build_generator("stylegan3", resolution=1024)
    assert list(parse_layers("coarse", T.slot_resolutions)) == [0, 1, 2, 3]
    assert list(parse_layers("middle", T.slot_resolutions)) == [4, 5, 6]
    assert list(parse_layers("fine", T.slot_resolutions)) == list(range(7, 16))
    small = tiny_generator(32, name="stylegan3", num_layers=6)
    assert [parse_layers(name, small.slot_resolutions).keys() for name in ("coarse", "middle")] == [
        {0, 1, 2, 3},
        {4, 5, 6, 7},
    ]
    for name, generator in (("stylegan1", tiny_generator(16, name="stylegan1")), ("stylegan2", tiny_generator(16))):
        assert generator.slot_resolutions == slots(16, generator.num_ws), name


def test_layers_have_weights() -> None:
    assert parse_layers("coarse:0.5,6-7,1:-1", slots(32, 8)) == {0: 0.5, 1: -1, 2: 0.5, 3: 0.5, 6: 1, 7: 1}
    assert layers_text("0-1:0.5", parse_layers("0-1:0.5", slots(32, 8))) == "styles of layers 0-1 (weight 0.5)"


@pytest.mark.parametrize(
    ("text", "resolution", "num_ws"),
    [("fine", 32, 8), ("8", 32, 8), ("corse", 32, 8), ("middle", 8, 4), ("", 8, 4), ("0-", 8, 4), ("0,,1", 8, 4)],
)
def test_missing_layers_are_refused_and_existing_ones_named(text: str, resolution: int, num_ws: int) -> None:
    with pytest.raises(UserError, match=f"coarse.*0 to {num_ws - 1}|0 to {num_ws - 1}.*coarse"):
        parse_layers(text, slots(resolution, num_ws))


@pytest.mark.parametrize("text", ["0:a", "0:nan", "0:inf", "coarse:0.5:1"])
def test_weights_are_numbers(text: str) -> None:
    with pytest.raises(UserError, match="a weight must be a number"):
        parse_layers(text, slots(8, 4))
