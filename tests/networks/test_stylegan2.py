"""Cases that golden files do not cover: sizes, channels, precision, memory layout, errors."""

import itertools

import pytest
import torch

from stylegen.errors import UserError
from stylegen.networks import build_generator
from stylegen.networks.mapping import Mapping
from stylegen.networks.stylegan2_discriminator import Discriminator
from tests.support.tiny import SMALL, tiny_generator

WIDTHS = {"channel_base": 128, "channel_max": 8}


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (16, 2), (32, 3), (64, 4)])
def test_shapes_at_every_size_and_channel_count(resolution: int, channels: int) -> None:
    generator = tiny_generator(resolution, channels=channels)
    images = generator(torch.randn(4, 8))
    assert images.shape == (4, channels, resolution, resolution)
    assert generator.num_ws == 2 * (resolution.bit_length() - 1) - 2
    assert Discriminator(resolution, channels, **WIDTHS)(images).shape == (4, 1)


def test_the_largest_networks_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in build_generator("stylegan2", resolution=1024).parameters())
        assert 30.3e6 < count < 30.45e6  # 30.37 M in the paper's config F
        assert sum(p.numel() for p in Discriminator(1024).parameters()) == pytest.approx(29.01e6, rel=1e-3)
        build_generator("stylegan2", resolution=2048)


@pytest.mark.parametrize(("g", "d"), list(itertools.product(["orig", "skip", "resnet"], repeat=2)))
def test_every_architecture_trains_every_parameter(g: str, d: str) -> None:
    generator = tiny_generator(architecture=g).requires_grad_(True)
    discriminator = Discriminator(16, architecture=d, **WIDTHS)
    discriminator(generator(torch.randn(4, 8))).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_labels_reach_both_networks() -> None:
    generator, c = tiny_generator(num_classes=3), torch.eye(3)
    z = torch.randn(1, 8).expand(3, -1)
    images = generator(z, c)
    assert (images[0] - images[1]).abs().max() > 1e-3
    discriminator = Discriminator(16, num_classes=3, **WIDTHS, mbstd_group_size=1)
    logits = discriminator(images[:1].expand(3, -1, -1, -1), c)
    assert (logits[0] - logits[1]).abs() > 1e-6
    with pytest.raises(ValueError, match="3 classes"):
        generator(z)


def test_double_precision_stays_double() -> None:
    generator = tiny_generator().double()
    images = generator(torch.randn(4, 8, dtype=torch.float64))
    assert images.dtype == torch.float64
    assert Discriminator(16, **WIDTHS).double()(images).dtype == torch.float64


def test_channels_last_gives_the_same_images() -> None:
    z = torch.randn(4, 8)
    expected = tiny_generator(32)(z)
    torch.testing.assert_close(
        tiny_generator(32).to(memory_format=torch.channels_last)(z), expected, rtol=1e-4, atol=1e-4
    )


def test_noise_tensors_replace_the_stored_ones() -> None:
    generator = tiny_generator()
    ws = generator.mapping(torch.randn(2, 8)).unsqueeze(1).repeat(1, generator.num_ws, 1)
    buffers = dict(generator.synthesis.named_buffers())
    stored = [v[None, None].expand(2, 1, -1, -1) for k, v in buffers.items() if k.endswith("noise_const")]
    assert [v.shape[-1] for v in stored] == generator.synthesis.noise_sizes
    torch.testing.assert_close(generator.synthesis(ws, stored), generator.synthesis(ws, "const"))
    silent = [torch.zeros_like(v) for v in stored]
    torch.testing.assert_close(generator.synthesis(ws, silent), generator.synthesis(ws, "none"))


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_a_network_without_noise_takes_none(architecture: str) -> None:
    generator = tiny_generator(use_noise=False, architecture=architecture)
    assert (generator.synthesis.noise_sizes, generator.num_ws) == ([], tiny_generator().num_ws)
    ws = torch.randn(2, generator.num_ws, 8)
    expected = generator.synthesis(ws, "none")
    assert all(torch.equal(generator.synthesis(ws, noise), expected) for noise in ("const", (), []))


def test_conv_clamp_limits_the_output() -> None:
    generator = tiny_generator(conv_clamp=0.01, architecture="orig")
    assert generator(torch.randn(2, 8)).abs().max() <= 0.01


@pytest.mark.parametrize(
    "settings",
    [{"resolution": 48}, {"resolution": 4}, {"resolution": 16, "architecture": "skp"}, {"resolution": 16, "depth": 3}],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(UserError):
        build_generator("stylegan2", **(SMALL | settings))


def test_a_label_mapping_without_layers_is_the_normalized_embedding() -> None:
    """The discriminators of StyleGAN2-ADA's TensorFlow code; a mapping of latents has at least one layer."""
    mapping, c = Mapping(z_dim=0, num_classes=3, w_dim=8, num_layers=0), torch.eye(3)
    assert mapping.embed is not None
    embedded = mapping.embed(c).double()
    expected = embedded / (embedded.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    assert torch.allclose(mapping(None, c).double(), expected, atol=1e-6)
    with pytest.raises(UserError, match="mapping_layers=0"):
        Mapping(z_dim=8, num_classes=3, w_dim=8, num_layers=0)
