"""Cases that golden files do not cover: table 1's configurations, levels, precision, errors."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.errors import UserError
from stylegen.latent.sampler import Sampler
from stylegen.layers.conditioning import CONDITIONINGS, standing_statistics
from stylegen.layers.scaled_conv import nearest_upsample
from stylegen.layers.synthesis_inputs import ConstantInput, LatentInput
from stylegen.networks import DISCRIMINATORS, Level, StyleGenerator, build_generator
from stylegen.networks.stylegan1 import Generator
from stylegen.networks.stylegan1_discriminator import Discriminator
from tests.support.tiny import SMALL, tiny_generator

WIDTHS = {"channel_base": 128, "channel_max": 8}
TABLE_1: dict[str, dict[str, Any]] = {
    "B": {"conditioning": "none", "const_input": False, "use_noise": False, "mapping_layers": 0},
    "C": {"const_input": False, "use_noise": False},
    "D": {"use_noise": False},
    "E": {},
}


def tiny(resolution: int = 16, **settings: Any) -> StyleGenerator:
    return tiny_generator(resolution, name="stylegan1", **settings)


def parameters(generator: StyleGenerator) -> int:
    return sum(p.numel() for p in generator.parameters())


def styles(generator: StyleGenerator, count: int = 4) -> Tensor:
    z = torch.randn(count, generator.z_dim, dtype=next(generator.parameters()).dtype)
    c = torch.eye(generator.num_classes, dtype=z.dtype)[[0] * count] if generator.num_classes else None
    return generator.mapping(z, c).unsqueeze(1).repeat(1, generator.num_ws, 1)


def test_the_published_networks_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in build_generator("stylegan1", resolution=1024).parameters()) == 26_219_627
        baseline = build_generator("stylegan1", resolution=1024, **TABLE_1["B"])
        assert sum(p.numel() for p in baseline.parameters()) == pytest.approx(23.1e6, rel=2e-3)
        assert sum(p.numel() for p in DISCRIMINATORS["stylegan1"](1024).parameters()) == pytest.approx(23.1e6, rel=2e-3)


@pytest.mark.parametrize("configuration", TABLE_1)
def test_every_configuration_of_table_1_trains_every_parameter(configuration: str) -> None:
    generator = tiny(32, **TABLE_1[configuration]).requires_grad_(True)
    discriminator = Discriminator(32, **WIDTHS)
    for resolution in generator.resolutions:
        alpha = 1.0 if resolution == 4 else 0.5
        discriminator(generator(torch.randn(4, 8), resolution=resolution, alpha=alpha), alpha=alpha).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert generator.synthesis.noise_sizes == ([4, 4, 8, 8, 16, 16, 32, 32] if configuration == "E" else [])
    assert generator.num_ws == (1 if configuration == "B" else 8)


@pytest.mark.parametrize("configuration", TABLE_1)
def test_the_latent_reaches_the_image(configuration: str) -> None:
    images = tiny(**TABLE_1[configuration])(torch.randn(2, 8))
    assert (images[0] - images[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_every_conditioning_trains_every_parameter_and_uses_the_latent(name: str) -> None:
    generator = tiny(conditioning=name, num_classes=3).requires_grad_(True).train()
    z, c = torch.randn(4, 8), torch.eye(3)[[0, 1, 2, 0]]
    images = generator(z, c, noise="const")
    (images * torch.randn_like(images)).sum().backward()
    for key, parameter in generator.named_parameters():
        if "to_rgb" not in key:  # RGB layers of lower resolutions are used in growth only
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any() or "conditioning" not in key, key
    generator.eval()
    assert (generator(z[:1], c[:1]) - generator(z[1:2], c[:1])).abs().max() > 1e-3
    kind = CONDITIONINGS[name].kind
    assert generator.num_ws == (1 if kind == "none" else 6)
    assert isinstance(generator.synthesis.input, ConstantInput if kind == "vector" else LatentInput)


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_a_snapshot_keeps_the_conditioning(name: str, tmp_path: Path) -> None:
    generator = tiny(conditioning=name, num_classes=3)
    with standing_statistics(generator):
        generator(torch.randn(4, 8), torch.eye(3)[[0, 1, 2, 0]])
    save_snapshot(tmp_path / "x.safetensors", generator, {})
    again = load_snapshot(tmp_path / "x.safetensors").generator
    seeds = [1, 2, 3]
    assert torch.equal(Sampler(again).images(seeds), Sampler(generator).images(seeds))


def test_conditionings_have_the_documented_number_of_parameters() -> None:
    """Only the conditioning layers differ, by the formulas of docs/conditioning.md."""
    counts = {name: parameters(tiny(conditioning=name, num_classes=3)) for name in CONDITIONINGS}
    channels, w_dim, layers, head = [8] * 6, 8, 6, 8 * 8 + 8
    assert sum(channels) == 8 * layers
    without = counts["film"] - 2 * head * layers
    for name in ("adain", "instance_film", "layer_film", "batch_film"):
        assert counts[name] == counts["film"]
    for name in ("scale_only", "shift_only", "concat"):
        assert counts[name] == without + head * layers
    assert counts["se"] == without + layers * ((8 + w_dim + 1) * 4 + (4 + 1) * 8)
    assert counts["self_modulation"] == without + layers * 2 * ((8 + 1) * 32 + (32 + 1) * 8)
    traditional = without - 8 * 16 + 8 * 16 * w_dim  # the 4x4 input is computed from w
    assert counts["none"] == traditional
    assert counts["cin"] == counts["class_batch"] == traditional + layers * 3 * 16


def test_interpolated_labels_mix_their_styles() -> None:
    generator = tiny(conditioning="cin", num_classes=3)
    for name, parameter in generator.named_parameters():
        if name.endswith("table.weight"):
            parameter.add_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    z = torch.randn(1, 8)
    first, second = (generator.mapping(z, torch.eye(3)[[k]]) for k in (0, 2))
    assert first.shape == (1, generator.w_dim) == (1, 8 + 3)
    layer = generator.synthesis.blocks["8"].layer1.conditioning
    x = torch.randn(1, 8, 8, 8)
    mixed = layer.affine_of(x, first.lerp(second, 0.25)[:, 8:])
    rows = layer.affine_of(x, torch.arange(3))
    for mine, each in zip(mixed, rows, strict=True):
        torch.testing.assert_close(mine[0], 0.75 * each[0] + 0.25 * each[2])
    with pytest.raises(ValueError, match="3 classes"):
        generator(z)


@pytest.mark.parametrize("fused_from", [None, 4, 16])
def test_a_new_resolution_at_alpha_0_changes_no_image(fused_from: int | None) -> None:
    generator = tiny(32, fused_from=fused_from).double()
    discriminator = Discriminator(32, **WIDTHS, fused_from=fused_from).double()
    ws = styles(generator)
    for resolution in (8, 16, 32):
        before = generator.synthesis(ws, resolution=resolution // 2)
        entered = generator.synthesis(ws, resolution=resolution, alpha=0.0)
        torch.testing.assert_close(entered, nearest_upsample(before), rtol=0, atol=1e-14)
        torch.testing.assert_close(discriminator(entered, alpha=0.0), discriminator(before), rtol=1e-12, atol=1e-12)


def test_a_fade_is_linear_in_alpha() -> None:
    generator = tiny(32).double()
    ws = styles(generator)
    old, middle, new = (generator.synthesis(ws, resolution=32, alpha=alpha) for alpha in (0.0, 0.3, 1.0))
    torch.testing.assert_close(middle, 0.7 * old + 0.3 * new)


def test_layers_above_the_level_are_not_computed() -> None:
    generator, discriminator = tiny(32), Discriminator(32, **WIDTHS)
    for network in (generator.synthesis, discriminator):
        for side, block in network.blocks.items():
            if int(side) > 8:
                block.register_forward_hook(lambda *_: pytest.fail("a block above the level ran"))
    assert discriminator(generator(torch.randn(4, 8), resolution=8, alpha=0.5), alpha=0.5).shape == (4, 1)


def test_slots_above_the_level_are_not_read() -> None:
    generator = tiny(32)
    ws = styles(generator)
    generator.set_level(8)
    assert generator.num_active_ws == 4
    other = torch.cat([ws[:, :4], styles(generator)[:, 4:]], dim=1)
    assert torch.equal(generator.synthesis(ws), generator.synthesis(other))
    last = torch.cat([ws[:, :3], styles(generator)[:, 3:]], dim=1)
    assert not torch.equal(generator.synthesis(ws), generator.synthesis(last))


def test_a_network_uses_its_current_level() -> None:
    generator, discriminator = tiny(32), Discriminator(32, **WIDTHS, mbstd_group_size=1)
    ws = styles(generator)
    assert generator.level == Level(32, 1.0)
    expected = generator.synthesis(ws, resolution=16, alpha=0.25)
    generator.set_level(16, 0.25)
    assert torch.equal(generator.synthesis(ws), expected)
    assert torch.equal(copy.deepcopy(generator).synthesis(ws), expected)
    assert generator.synthesis(ws, resolution=32).shape[-1] == 32
    assert generator.synthesis.noise_sizes == [4, 4, 8, 8, 16, 16]
    logits, full = discriminator(expected, alpha=0.25), discriminator(expected)
    discriminator.set_level(16, 0.25)
    assert torch.equal(discriminator(expected), logits)
    assert not torch.equal(logits, full)
    assert torch.equal(discriminator(expected, alpha=1.0), full)


@pytest.mark.parametrize("noise", ["const", "none", "random"])
def test_the_sampler_uses_the_current_level(noise: str) -> None:
    generator = tiny(32)
    generator.set_level(16, 0.5)
    images = Sampler(generator, psi=0.7, noise=noise, batch_size=2).images([1, 2, 3])
    assert images.shape == (3, 3, 16, 16)
    alone = Sampler(generator, psi=0.7, noise=noise).images([3])
    assert (images[2:].int() - alone.int()).abs().max() <= 1


def test_noise_tensors_replace_the_stored_ones() -> None:
    generator = tiny()
    ws = styles(generator, 2)
    stored = [v.expand(2, 1, -1, -1) for k, v in generator.named_buffers() if k.endswith("noise.const")]
    assert [v.shape[-1] for v in stored] == generator.synthesis.noise_sizes
    torch.testing.assert_close(generator.synthesis(ws, stored), generator.synthesis(ws, "const"))
    silent = [torch.zeros_like(v) for v in stored]
    torch.testing.assert_close(generator.synthesis(ws, silent), generator.synthesis(ws, "none"))
    with pytest.raises(ValueError, match="takes 4"):
        generator.synthesis(ws, stored, resolution=8)


def test_labels_reach_both_networks() -> None:
    generator, c = tiny(num_classes=3), torch.eye(3)
    images = generator(torch.randn(1, 8).expand(3, -1), c)
    assert (images[0] - images[1]).abs().max() > 1e-3
    discriminator = Discriminator(16, num_classes=3, **WIDTHS, mbstd_group_size=1)
    logits = discriminator(images[:1].expand(3, -1, -1, -1), c)
    assert (logits[0] - logits[1]).abs() > 1e-6
    for network, given in ((generator, torch.randn(1, 8)), (discriminator, images)):
        with pytest.raises(ValueError, match="3 classes"):
            network(given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_follow_the_type_of_their_input(dtype: torch.dtype) -> None:
    generator, discriminator = tiny(32), Discriminator(32, **WIDTHS)
    if dtype == torch.float64:
        generator, discriminator = generator.double(), discriminator.double()
    ws = styles(generator)
    images = generator.synthesis(ws.to(dtype), resolution=16, alpha=0.5)
    logits = discriminator(images.to(dtype), alpha=0.5)
    assert images.dtype == logits.dtype == torch.promote_types(dtype, torch.float32)
    exact = generator.synthesis(ws, resolution=16, alpha=0.5)
    assert (images - exact).square().mean() < 0.01 * exact.square().mean()


def test_channels_last_gives_the_same_images() -> None:
    z = torch.randn(4, 8)
    expected = tiny(32)(z)
    torch.testing.assert_close(tiny(32).to(memory_format=torch.channels_last)(z), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [(24, 1.0), (64, 1.0), (2, 1.0), (16, 1.5), (16, -0.1), (16, float("nan")), (4, 0.5)])
def test_levels_outside_the_network_are_refused(level: tuple[int, float]) -> None:
    generator, discriminator = tiny(32), Discriminator(32, **WIDTHS)
    resolution, alpha = level
    with pytest.raises(UserError, match=r"resolution=|alpha="):
        generator(torch.randn(1, 8), resolution=resolution, alpha=alpha)
    with pytest.raises(UserError, match=r"resolution=|alpha="):
        discriminator(torch.zeros(4, 3, resolution, resolution), alpha=alpha)
    for network in (generator, discriminator):
        with pytest.raises(UserError, match=r"resolution=|alpha="):
            network.set_level(resolution, alpha)
        assert network.level == Level(32)


def test_a_network_that_does_not_grow_has_one_level() -> None:
    generator = tiny_generator(16)
    generator.set_level(16)
    assert (generator.level, generator.resolutions, generator.num_active_ws) == (Level(16), [16], generator.num_ws)
    for level in ((8, 1.0), (16, 0.5)):
        with pytest.raises(UserError, match=r"resolution="):
            generator.set_level(*level)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "resolution=48"),
        ({"conditioning": "adian"}, "adain"),
        ({"conditioning": "none", "const_input": True}, "const_input=false"),
        ({"conditioning": "cin"}, "data.use_labels=true"),
        ({"conditioning": "cin", "const_input": True, "num_classes": 3}, "const_input=false"),
        ({"mapping_layers": 0, "w_dim": 9}, "w_dim=8"),
        ({"mapping_layers": -1}, "mapping_layers"),
        ({"mapping_dim": 0}, "mapping_dim"),
        ({"channel_base": 8}, "channel_base"),
        ({"blur_taps": [1, 1]}, "blur_taps"),
        ({"depth": 3}, "generator.depth"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_generator("stylegan1", **({"resolution": 16} | SMALL | settings))


def test_the_defaults_are_the_published_ones() -> None:
    generator = Generator(128, channel_base=512, channel_max=8)
    fused = {side: block.layer0.conv.fused for side, block in generator.synthesis.blocks.items() if side != "4"}
    assert fused == {"8": False, "16": False, "32": False, "64": False, "128": True}
    down = {side: block.conv1.fused for side, block in Discriminator(128, **WIDTHS).blocks.items()}
    assert down == fused
    assert len(generator.mapping.layers) == 8
    assert all(not layer.strength.any() for layer in generator.modules() if hasattr(layer, "strength"))
