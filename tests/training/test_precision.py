"""Half precision: where it applies, what stays in float32, its error, and invalid settings."""

import copy

import pytest
import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.modulated_conv import modulated_conv2d
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.regularizers.gradient_penalty import squared_gradients
from stylegen.regularizers.path_length import path_lengths
from stylegen.training import precision
from stylegen.training.precision import Precision
from tests.support.tiny import SMALL, tiny_generator

CLAMPED = {"conv_clamp": 256.0}


def networks(**settings: object) -> tuple[nn.Module, nn.Module]:
    generator = tiny_generator(resolution=32, **settings).requires_grad_(True)
    torch.manual_seed(0)
    critic = Discriminator(32, channel_base=SMALL["channel_base"], channel_max=SMALL["channel_max"], **settings)
    return generator, critic


def dtypes(network: nn.Module, blocks: nn.ModuleDict, *inputs: Tensor) -> dict[str, torch.dtype]:
    found: dict[str, torch.dtype] = {}
    for size, block in blocks.items():
        block.conv1.register_forward_hook(lambda m, i, out, size=size: found.update({size: out.dtype}))
    network(*inputs)
    return found


@pytest.mark.parametrize(("name", "half"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_highest_resolutions_compute_in_half_and_the_rest_in_float32(name: str, half: torch.dtype) -> None:
    generator, critic = networks(**CLAMPED)
    Precision(name, half_resolutions=2).attach(generator, critic)
    ws, x = torch.randn(4, generator.num_ws, 8), torch.randn(4, 3, 32, 32)
    found = dtypes(generator.synthesis, generator.synthesis.blocks, ws)
    assert found == {"4": torch.float32, "8": torch.float32, "16": half, "32": half}
    assert dtypes(critic, critic.blocks, x) == {"32": half, "16": half, "8": torch.float32}
    assert generator.synthesis(ws).dtype == critic(x).dtype == torch.float32  # images and logits


def test_stylegan3_computes_its_highest_sampling_rates_in_half() -> None:
    """The image and the input's features are float32."""
    generator, critic = tiny_generator(32, name="stylegan3", num_layers=6), networks()[1]
    exact = generator.synthesis(ws := torch.randn(2, generator.num_ws, 8))
    Precision("bf16", half_resolutions=1).attach(generator, critic)
    rates = [signal.sampling_rate for signal in generator.synthesis.signals]
    found: list[torch.dtype] = []
    for layer in generator.synthesis.layers:
        layer.register_forward_hook(lambda m, i, out: found.append(out.dtype))
    image = generator.synthesis(ws)
    assert found == [torch.bfloat16 if rate == 32 else torch.float32 for rate in rates]
    assert len(set(found)) == 2
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, exact, rtol=0, atol=0.05 * exact.abs().max().item())


def test_all_resolutions_can_compute_in_half() -> None:
    generator, critic = networks()
    Precision("bf16", half_resolutions=None).attach(generator, critic)
    assert set(dtypes(critic, critic.blocks, torch.randn(4, 3, 32, 32)).values()) == {torch.bfloat16}
    assert critic(torch.randn(4, 3, 32, 32)).dtype == torch.float32


@pytest.mark.parametrize("name", ["fp32", "tf32"])
def test_float32_leaves_the_networks_alone(name: str) -> None:
    generator, critic = networks()
    Precision(name).attach(generator, critic)
    assert not any(module._forward_pre_hooks for network in (generator, critic) for module in network.modules())


# bfloat16 rounds to 8 bits: after several blocks of such a small network some leaky ReLUs change sign.
@pytest.mark.parametrize(("name", "count", "tolerance"), [("bf16", 1, 0.05), ("fp16", None, 0.02)])
def test_losses_penalties_and_gradients_are_near_float32(name: str, count: int | None, tolerance: float) -> None:
    exact = networks(**CLAMPED)
    half = copy.deepcopy(exact)
    Precision(name, count).attach(*half)
    ws, x = torch.randn(4, exact[0].num_ws, 8), torch.randn(4, 3, 32, 32)
    direction = torch.randn(4, 3, 32, 32)
    results = []
    for generator, critic in (exact, half):
        w = ws.clone().requires_grad_(True)
        images = generator.synthesis(w)
        lengths = path_lengths(images, w, direction)
        real = x.clone().requires_grad_(True)
        penalty = squared_gradients(real, critic(real))
        (penalty.mean() + lengths.mean() + critic(images).mean()).backward()
        parameters = (*generator.synthesis.parameters(), *critic.parameters())
        gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        assert penalty.dtype == lengths.dtype == gradient.dtype == torch.float32
        results.append((images.detach(), penalty.detach(), lengths.detach(), gradient))
    for a, b in zip(*results, strict=True):
        assert not torch.equal(a, b)
        assert (a - b).norm() <= tolerance * a.norm()


def test_float16_survives_products_that_overflow_it() -> None:
    """512 * 9 products of 60 * 200 * 30 are far above 65504; demodulation reduces them to order one."""
    x, weight = torch.full((1, 512, 4, 4), 60.0), torch.full((8, 512, 3, 3), 200.0)
    styles = torch.full((1, 512), 30.0)
    exact = modulated_conv2d(x, weight, styles)
    half = modulated_conv2d(x.half(), weight, styles)
    torch.testing.assert_close(half.float(), exact, rtol=5e-3, atol=0)


def test_what_would_be_slow_or_overflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clamps: dict[str, float | None] = {"generator.conv_clamp": 256.0, "discriminator.conv_clamp": None}
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    with pytest.raises(UserError, match="precision=bf16: this CPU has no bfloat16"):
        Precision("bf16").check("cpu", clamps)
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    Precision("bf16").check("cpu", clamps)
    with pytest.raises(UserError, match="precision=fp16: CPUs"):
        Precision("fp16").check("cpu", clamps)
    with pytest.raises(UserError, match=r"precision=fp16 with discriminator.conv_clamp=null: float16 overflows"):
        Precision("fp16").check("mps", clamps)
    with pytest.raises(UserError, match="precision=tf32: TF32 needs an NVIDIA GPU"):
        Precision("tf32").check("cpu", clamps)
    with pytest.raises(UserError, match=r"precision=fp23: no such precision\. Did you mean fp32"):
        Precision("fp23")
    with pytest.raises(UserError, match="half_resolutions=-1"):
        Precision("bf16", -1)
