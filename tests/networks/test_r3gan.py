"""R3GAN beyond its golden files: published sizes, initialization, the generator's contract, half precision, errors."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.latent.sampler import Sampler
from stylegen.latent.style_space import style_layers
from stylegen.layers.resample import fir_filter, upsample2d
from stylegen.layers.variance_scaling import Conv2d
from stylegen.networks import DISCRIMINATORS, StyleGenerator, build_generator
from stylegen.networks.r3gan import ResidualBlock, Synthesis
from stylegen.training.precision import Precision

SMALL = {"channel_base": 256, "channel_max": 16, "blocks": [1, 2]}
IMAGENET = {"channel_max": 1536, "cardinality": [96]}
# resolution, classes, settings; parameters of G and D, and feature maps and groups from 4 px up, of the published code
PUBLISHED: dict[str, tuple[int, int, dict[str, Any], int, int, list[int], list[int]]] = {
    "FFHQ-256": (256, 0, {}, 23_057_952, 23_009_568, [768] * 4 + [384, 192, 96], [96] * 4 + [48, 24, 12]),
    "FFHQ-64": (64, 0, {}, 22_429_824, 22_381_440, [768] * 4 + [384], [96] * 4 + [48]),
    "CIFAR-10": (32, 10, {}, 20_781_952, 21_280_512, [768] * 4, [96] * 4),
    "ImageNet-32": (32, 1000, IMAGENET | {"channel_base": 49152}, 82_914_304, 86_548_992, [1536] * 4, [96] * 4),
    "ImageNet-64": (64, 1000, IMAGENET | {"channel_base": 98304}, 103_570_432, 107_205_120, [1536] * 5, [96] * 5),
}


def networks(resolution: int = 16, num_classes: int = 0, **settings: Any) -> tuple[StyleGenerator, nn.Module]:
    """Small networks whose residual blocks are not the identity."""
    arguments: dict[str, Any] = {"resolution": resolution, "num_classes": num_classes} | SMALL | settings
    with randomness.seeded_construction(0, "tiny"):
        G, D = build_generator("r3gan", z_dim=8, **arguments), DISCRIMINATORS["r3gan"](**arguments)
        for module in [*G.modules(), *D.modules()]:
            if isinstance(module, ResidualBlock):
                nn.init.normal_(module.project.weight, std=0.1)
    return G, D


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes(name: str) -> None:
    resolution, classes, settings, g, d, widths, groups = PUBLISHED[name]
    with torch.device("meta"):
        G = build_generator("r3gan", resolution=resolution, num_classes=classes, **settings)
        D = DISCRIMINATORS["r3gan"](resolution, 3, classes, **settings)
    assert [sum(p.numel() for p in network.parameters()) for network in (G, D)] == [g, d]
    assert isinstance(G.synthesis, Synthesis)
    stages = G.synthesis.stages
    assert list(stages) == [4 << k for k in range(len(widths))]
    assert [(s.width, s.groups, s.blocks) for s in stages.values()] == [
        (*s, 2) for s in zip(widths, groups, strict=True)
    ]
    for network in (G, D):
        found = [m for m in network.modules() if isinstance(m, ResidualBlock)]
        assert len(found) == 2 * len(widths)
        assert {(m.grouped.kernel_size, m.grouped.in_channels // m.project.out_channels) for m in found} == {
            ((3, 3), 2)
        }


@torch.no_grad()
def test_initial_variances() -> None:
    """N(0, 2 / (1.04 fan_in sqrt(L))) inside a block, N(0, 1 / fan_in) elsewhere, zeros at a block's end; L blocks."""
    settings = {"resolution": 8, "num_classes": 3, "channel_max": 64, "cardinality": [8], "blocks": [2, 3]}
    with randomness.seeded_construction(1, "tiny"):
        G, D = build_generator("r3gan", **settings), DISCRIMINATORS["r3gan"](**settings)
    inside = 2 / 1.04 / math.sqrt(5)
    expected = {"expand": inside / 64, "grouped": inside / (16 * 9), "affine": 1 / 128, "out": 1 / 64}
    expected |= {"basis": 1.0, "embedding": 1 / 3, "to_rgb": 1 / 64, "from_rgb": 1 / 3}
    for network in (G, D):
        for name, weight in network.named_parameters():
            kind = next((key for key in expected if name.split(".")[-2:].count(key)), "zero")
            variance = expected.get(kind, 0.0)
            if network is D:
                variance = {"basis": 1 / 16, "embedding": 1 / 3 / 64}.get(kind, variance)
            if name.endswith("bias") or kind == "zero":
                assert not weight.any()
            else:  # five standard deviations of a sample variance
                assert weight.square().mean() / variance == pytest.approx(1, abs=5 * math.sqrt(2 / weight.numel()))


@torch.no_grad()
def test_the_network_begins_as_its_resampling() -> None:
    """Residual blocks begin as the identity, so the image is linear in the basis."""
    G = build_generator("r3gan", resolution=16, channel_base=512, channel_max=32)
    z = torch.randn(2, 64)
    x = G.synthesis.get_submodule("input")(z)
    for _ in range(2):
        x = upsample2d(x, fir_filter([1, 3, 3, 1]))
    to_rgb = G.synthesis.get_submodule("to_rgb")
    assert isinstance(to_rgb, Conv2d)
    torch.testing.assert_close(G(z), to_rgb(x))


def test_up_sampling_is_bilinear() -> None:
    x = torch.randn(1, 2, 6, 6)
    found, expected = upsample2d(x, fir_filter([1, 3, 3, 1])), F.interpolate(x, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_a_generator_with_one_slot_without_noise() -> None:
    G, _ = networks()
    assert (G.num_ws, G.num_active_ws, G.slot_resolutions, G.has_noise) == (1, 1, [4], False)
    z = torch.randn(2, 8)
    assert torch.equal(G.mapping(z), z)
    assert [(layer.name, layer.slot, layer.width) for layer in style_layers(G)] == [("input.affine", 0, 16)]
    mean, other = Sampler(G, psi=0.0).images([1, 2])
    assert torch.equal(mean, other)
    with pytest.raises(ValueError, match=r"ws has shape \[2, 3, 8\]; this network takes \[N, 1, w_dim\]"):
        G.synthesis(torch.zeros(2, 3, 8))


def test_every_parameter_gets_a_gradient_and_labels_matter() -> None:
    G, D = networks(num_classes=3, channels=1)
    z, c = torch.randn(1, 8).expand(3, -1), torch.eye(3)
    images = G(z, c)
    assert images.shape == (3, 1, 16, 16)
    assert (images[0] - images[1]).abs().max() > 1e-3
    logits = D(images, c)
    assert logits.shape == (3, 1)
    assert (D(images[:1].expand(3, -1, -1, -1), c) - logits[0]).abs().max() > 1e-3
    logits.square().sum().backward()
    for network in (G, D):
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())
        with pytest.raises(ValueError, match="3 classes and needs c"):
            network(torch.randn(2, 8) if network is G else images.detach())


def test_bfloat16_stages_between_float32_ends() -> None:
    """As published: 4 px, image and logits are float32."""
    G, D = networks(32)
    Precision("bf16", 3).attach(G, D)
    seen: dict[str, torch.dtype] = {}
    for network in (G.synthesis, D):
        for side, block in network.get_submodule("blocks").named_children():
            name = f"{type(network).__module__}.{side}"
            block.register_forward_hook(lambda m, i, y, name=name: seen.__setitem__(name, y.dtype))
    images = G(torch.randn(2, 8))
    logits = D(images)
    assert images.dtype == logits.dtype == torch.float32
    assert {name.rpartition(".")[2]: dtype for name, dtype in seen.items() if "discriminator" not in name} == {
        "4": torch.float32,
        "8": torch.bfloat16,
        "16": torch.bfloat16,
        "32": torch.bfloat16,
    }
    assert {dtype for name, dtype in seen.items() if "discriminator" in name} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cardinality": [3]}, r"generator.cardinality=\[3\] .*at 4 px, 3 groups do not divide 16 \* 2.*cardinality"),
        ({"kernel_size": 4}, "generator.kernel_size=4: .*Use generator.kernel_size=3"),
        ({"blocks": []}, r"generator.blocks=\[\]: .*at least one"),
        ({"channel_base": 8}, "channel_base=8 channel_max=16: they give no feature map at 16 px"),
        ({"resolution": 24}, "resolution=24: must be a power of two"),
        ({"expansion": 0}, "generator.expansion=0"),
        ({"w_dim": 64}, "generator.w_dim"),
    ],
)
def test_settings_without_a_network(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_generator("r3gan", **{"resolution": 16, **SMALL} | settings)


def test_lists_end_with_the_number_of_all_higher_resolutions() -> None:
    G, _ = networks(32, blocks=[1, 3], cardinality=[1, 2, 4])
    assert isinstance(G.synthesis, Synthesis)
    assert [(s.blocks, s.groups) for s in G.synthesis.stages.values()] == [(1, 1), (3, 2), (3, 4), (3, 4)]
