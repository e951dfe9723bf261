"""StyleGAN3 beyond its golden files: the published sizes, equivariance, averages of magnitudes, errors."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.latent.style_space import style_layers
from stylegen.networks import build_generator
from stylegen.networks.stylegan3 import Generator, SynthesisLayer
from tests.support.tiny import tiny_generator

R = {"channel_base": 65536, "channel_max": 1024, "conv_kernel": 1, "use_radial_filters": True}
# The published networks at 1024 px, layer by layer: feature maps of T and R, size, sampling rate, cutoff, stop band,
# factors of the resampling, padding before and after of T and R, whether R's down-sampling filter is radial.
TABLE = [
    (512, 1024, 36, 16, 2.0000, 8.0000, 2, 2, (9, 8), (11, 10), True),
    (512, 1024, 36, 16, 3.1748, 8.0000, 2, 2, (9, 8), (11, 10), True),
    (512, 1024, 52, 32, 5.0397, 16.000, 4, 2, (-6, -9), (-2, -5), True),
    (512, 1024, 52, 32, 8.0000, 16.000, 2, 2, (9, 8), (11, 10), True),
    (512, 1024, 84, 64, 12.6992, 32.000, 4, 2, (-6, -9), (-2, -5), True),
    (512, 1024, 148, 128, 20.1587, 64.000, 4, 2, (-6, -9), (-2, -5), True),
    (512, 1024, 148, 128, 32.0000, 64.000, 2, 2, (9, 8), (11, 10), True),
    (323, 645, 276, 256, 50.7968, 128.00, 4, 2, (-6, -9), (-2, -5), True),
    (203, 406, 276, 256, 80.6349, 128.00, 2, 2, (9, 8), (11, 10), True),
    (128, 256, 532, 512, 128.0000, 256.00, 4, 2, (-6, -9), (-2, -5), True),
    (81, 161, 1044, 1024, 203.1873, 512.00, 4, 2, (-6, -9), (-2, -5), True),
    (51, 102, 1044, 1024, 322.5398, 512.00, 2, 2, (9, 8), (11, 10), True),
    (32, 64, 1044, 1024, 512.0000, 630.3459, 2, 2, (9, 8), (11, 10), False),
    (32, 64, 1024, 1024, 512.0000, 630.3459, 2, 2, (-11, -12), (-9, -10), False),
    (3, 3, 1024, 1024, 512.0000, 630.3459, 1, 1, (0, 0), (0, 0), False),
]


@pytest.mark.parametrize(("config", "parameters"), [("T", 22_313_167), ("R", 15_093_151)])
def test_the_published_layers_and_parameters(config: str, parameters: int) -> None:
    settings: dict[str, Any] = R if config == "R" else {}
    with torch.device("meta"):
        G = Generator(1024, **settings)
    assert sum(parameter.numel() for parameter in G.parameters()) == parameters
    assert G.num_ws == 16
    first = G.synthesis.input
    assert (len(first.mixing), first.size, first.sampling_rate, first.bandwidth) == (TABLE[0][config == "R"], 36, 16, 2)
    for signal, layer, row in zip(G.synthesis.signals, G.synthesis.layers, TABLE, strict=True):
        assert isinstance(layer, SynthesisLayer)
        t, r, size, rate, cutoff, stopband, up, down, t_padding, r_padding, radial = row
        assert (signal.channels, signal.size, signal.sampling_rate) == (r if config == "R" else t, size, rate)
        assert signal.cutoff == pytest.approx(cutoff, abs=5e-5)
        assert signal.cutoff + signal.half_width == pytest.approx(stopband, abs=5e-5)
        assert (layer.up, layer.down) == (up, down)
        assert layer.padding == (r_padding if config == "R" else t_padding)
        taps = () if layer.down_filter is None else layer.down_filter.shape
        assert taps == (() if down == 1 else (12, 12) if config == "R" and radial else (12,))


def equivariant(resolution: int = 32, **settings: Any) -> tuple[Generator, Tensor]:
    """A network in float64 with margins so wide that the border does not reach the image, and styles."""
    wide = {"num_layers": 4, "margin_size": 24, "channel_base": 128, "channel_max": 4, "conv_clamp": None}
    G = tiny_generator(resolution, name="stylegan3", **(wide | settings)).double()
    assert isinstance(G, Generator)
    return G, G.mapping(torch.randn(1, 8, dtype=torch.float64)).unsqueeze(1).expand(-1, G.num_ws, -1)


@torch.no_grad()
def test_a_translated_input_translates_the_image() -> None:
    """By whole samples of every layer: 1/16 of the image, so exactly. `transform` is the inverse of the motion."""
    G, ws = equivariant()
    before = G.synthesis(ws)
    G.synthesis.input.transform[:2, 2] = torch.tensor([-1 / 16, 2 / 16])  # 2 px to the right, 4 px up
    after = G.synthesis(ws)
    assert before.std() > 1e-3
    torch.testing.assert_close(after[..., :-4, 2:], before[..., 4:, :-2], rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_rotated_input_rotates_the_image_of_r() -> None:
    """By 90 degrees, exactly. Not with 3x3 convolutions."""
    for settings, turns in (({"conv_kernel": 1, "use_radial_filters": True}, True), ({}, False)):
        G, ws = equivariant(margin_size=10, **settings)
        before = G.synthesis(ws)
        G.synthesis.input.transform[:2, :2] = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
        difference = (G.synthesis(ws) - before.rot90(-1, [2, 3])).abs().max()
        assert (difference < 1e-6 * before.abs().max()) == turns


@torch.no_grad()
def test_w_translates_and_rotates_by_its_affine_layer() -> None:
    """t = (r_c, r_s, t_x, t_y) / |(r_c, r_s)|: the same as a transform."""
    G, ws = equivariant()
    G.synthesis.input.affine.weight.zero_()
    G.synthesis.input.affine.bias.copy_(torch.tensor([1.2, 1.6, 0.2, -0.4]))
    moved = G.synthesis(ws)
    G.synthesis.input.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    rotation, shift = torch.tensor([[0.6, -0.8], [0.8, 0.6]]), torch.tensor([[-0.1], [0.2]])
    G.synthesis.input.transform[:2] = torch.cat([rotation, rotation @ shift], dim=1)
    torch.testing.assert_close(moved, G.synthesis(ws), rtol=0, atol=1e-6)


def test_initial_frequencies_fill_the_disc() -> None:
    """Uniformly: half of them beyond bandwidth / sqrt(2); phases in half a period."""
    torch.manual_seed(0)
    first = build_generator("stylegan3", resolution=16, z_dim=8, w_dim=8).synthesis.get_submodule("input")
    radii = first.freqs.norm(dim=1)
    assert radii.max() <= 2
    assert 0.4 < (radii > 2**0.5).float().mean() < 0.6
    assert first.phases.abs().max() <= 0.5


def test_every_parameter_gets_a_gradient_and_labels_matter() -> None:
    G = tiny_generator(16, name="stylegan3", num_layers=4, num_classes=3, channels=1).requires_grad_(True)
    images = G(torch.randn(1, 8).expand(3, -1), torch.eye(3))
    assert images.shape == (3, 1, 16, 16)
    assert (images[0] - images[1]).abs().max() > 1e-4
    images.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in G.parameters())


def test_inputs_are_divided_by_their_magnitude_and_training_moves_it() -> None:
    G = tiny_generator(16, name="stylegan3", num_layers=4, magnitude_ema_beta=0.75)
    ws = G.mapping(torch.randn(2, 8)).unsqueeze(1).expand(-1, G.num_ws, -1)
    plain, found = G.synthesis(ws), []
    torch.testing.assert_close(G.synthesis(ws, magnitudes=found), plain)
    assert len(found) == 5
    torch.testing.assert_close(found[0], G.synthesis.input(ws[:, 0]).square().mean())
    G.synthesis.update_magnitudes(torch.stack(found), 2)
    averages = [layer.magnitude_ema for layer in G.synthesis.layers]
    torch.testing.assert_close(torch.stack(averages), 0.75 + 0.25 * torch.stack(found))
    G.synthesis.update_magnitudes(torch.full((5,), torch.nan), 2)
    torch.testing.assert_close(torch.stack(averages), 0.75 + 0.25 * torch.stack(found))
    assert not torch.equal(G.synthesis(ws), plain)


def test_magnitudes_have_a_half_life_of_20_kimg_at_any_batch_size() -> None:
    for batch, steps in ((32, 625), (5000, 4)):
        synthesis = tiny_generator(16, name="stylegan3", num_layers=4).synthesis
        for _ in range(steps):
            synthesis.update_magnitudes(torch.full((5,), 3.0), batch)
        averages = torch.stack([layer.magnitude_ema for layer in synthesis.layers])
        torch.testing.assert_close(averages, torch.full((5,), 2.0))  # from 1


def test_style_layers_are_the_affine_ones() -> None:
    """Although the input's mixing matrix has as many columns as w numbers."""
    G = tiny_generator(16, name="stylegan3", num_layers=4, channel_max=8, w_dim=8)
    found = [(layer.name, layer.slot) for layer in style_layers(G)]
    assert found == [("input.affine", 0), *((f"layers.{i}.affine", i + 1) for i in range(5))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_critical": 4}, "generator.num_critical=4 num_layers=4: .*at least one other.*num_critical=2"),
        ({"first_cutoff": 8}, "generator.first_cutoff=8 at 16 px: .*half the resolution, 8.*first_cutoff=2"),
        ({"first_stopband": 1.5}, "first_cutoff=2 first_stopband=1.5: .*stop band is above its cutoff.*4.287"),
        ({"first_cutoff": 0.1, "first_stopband": 0.2}, "also above 0.5"),
        ({"first_stopband": 17}, "first_cutoff=2 first_stopband=17: .*at most at 16.*4.287"),
        ({"last_stopband_rel": 2.1}, "last_stopband_rel=2.1: must be a number above 1 to 2"),
        ({"filter_size": 1}, "filter_size=1: must be an integer from 2 to 64"),
        ({"channel_base": 4}, "channel_base=4 channel_max=8: they give no feature map at 16 px"),
        ({"last_stopband_rel": 1.0}, "last_stopband_rel=1.0: must be a number above 1"),
        ({"first_cutoff": 0}, "first_cutoff=0: must be a number above 0"),
        ({"lrelu_upsampling": 1.5}, "lrelu_upsampling=1.5: must be an integer"),
        ({"resolution": 24}, "resolution=24: must be a power of two"),
        ({"use_noise": True}, "generator.use_noise"),
    ],
)
def test_settings_without_a_network(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny_generator(**{"resolution": 16, "name": "stylegan3", "num_layers": 4} | settings)


@pytest.mark.parametrize("upsampling", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_unusual_settings_have_the_same_sizes(upsampling: int, kernel: int) -> None:
    small = {"num_layers": 2, "num_critical": 0, "filter_size": 3, "margin_size": 3, "conv_clamp": None}
    own = {"lrelu_upsampling": upsampling, "conv_kernel": kernel, "use_radial_filters": upsampling == 3}
    G = tiny_generator(8, name="stylegan3", **(small | own))
    images = G(torch.randn(2, 8))
    assert images.shape == (2, 3, 8, 8)
    assert images.isfinite().all()


def test_the_widest_transition_bands_have_filters() -> None:
    """Long filters, and stop bands at the limits of the settings: the Kaiser window does not overflow."""
    for upsampling in (1, 2):
        widest = {"first_cutoff": 0.1, "first_stopband": 8, "last_stopband_rel": 2, "filter_size": 64}
        G = tiny_generator(8, name="stylegan3", num_layers=3, margin_size=1, lrelu_upsampling=upsampling, **widest)
        assert all(filters.isfinite().all() for filters in G.synthesis.buffers())
