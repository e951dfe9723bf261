"""Heads, dropout and self-attention of both discriminators."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, StyleDiscriminator
from stylegen.networks.discriminator_heads import HEADS

K, N = 3, 4
BOTH = pytest.mark.parametrize("name", ["stylegan1", "stylegan2"])


def critic(name: str, resolution: int = 16, **settings: Any) -> StyleDiscriminator:
    with randomness.seeded_construction(0, "critic"):
        return DISCRIMINATORS[name](resolution, channel_base=64, channel_max=8, **settings).double()


def images(resolution: int = 16, count: int = N) -> Tensor:
    return torch.randn(count, 3, resolution, resolution, generator=torch.Generator().manual_seed(0)).double().tanh()


def labels() -> Tensor:
    return torch.eye(K).double()[torch.arange(N) % K]


def random_inputs(network: StyleDiscriminator, count: int = N) -> dict[str, Tensor]:
    found = randomness.generate(0, torch.arange(count), dict(network.random_inputs))
    return {name: numbers.double() for name, numbers in found.items()}


@BOTH
@pytest.mark.parametrize("head", HEADS)
def test_every_head_trains_every_parameter(name: str, head: str) -> None:
    network = critic(name, num_classes=K, head=head, head_dim=5, attention_resolution=8, dropout=[0.5])
    network.attention.gamma.data.fill_(0.5)
    outputs = network.outputs(images(), labels(), random_inputs(network))
    present = {field for field in DiscriminatorOutputs._fields if getattr(outputs, field) is not None}
    extra = {"classes": {"label_logits"}, "classes_plus_fake": {"label_logits"}, "bottleneck": {"divergence"}}
    assert present == {"logits", "features"} | extra.get(head, set())
    assert outputs.logits.shape == (N, 1)
    assert outputs.label_logits is None or outputs.label_logits.shape == (N, K)
    total = sum(getattr(outputs, field).square().sum() for field in present)
    gradients = torch.autograd.grad(total, list(network.parameters()), allow_unused=True)
    unused = [n for (n, _), g in zip(network.named_parameters(), gradients, strict=True) if g is None]
    assert [n for n in unused if "epilogue.from_rgb" not in n and "from_rgb" not in n] == []


@BOTH
def test_options_do_not_change_the_published_weights(name: str) -> None:
    plain = critic(name).state_dict()
    other = critic(name, dropout=[0.2, 0.5], attention_resolution=4)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in plain.items())
    # Deterministic, and attention starts as the identity.
    assert torch.equal(critic(name)(images()), other(images()))


def test_projection_by_its_formula() -> None:
    """out(h) + v_c . h (Miyato and Koyama, Eq. 3), with the learning rate equalized."""
    network, c = critic("stylegan2", num_classes=K, head="projection"), labels()
    outputs = network.outputs(images(), c)
    head, h = network.head, outputs.features
    scale = 1 / math.sqrt(h.shape[1])
    for i in range(N):
        v, b = head.of_labels.weight[c[i].argmax()], head.of_labels.bias[c[i].argmax()]
        expected = scale * (head.out.weight[0] @ h[i]) + head.out.bias[0] + scale * (v @ h[i]) + b
        torch.testing.assert_close(outputs.logits[i, 0], expected)
    with pytest.raises(ValueError, match="labels"):
        network(images())


def test_the_logit_of_k_plus_one_classes_combines_the_real_classes() -> None:
    outputs = critic("stylegan2", num_classes=K, head="classes_plus_fake").outputs(images(), labels())
    for logits, logit in zip(outputs.label_logits, outputs.logits[:, 0], strict=True):
        whole = torch.cat([logits, torch.zeros(1).double()]).exp()
        real = whole[:-1].sum() / whole.sum()
        torch.testing.assert_close(logit, (real / (1 - real)).log())


@BOTH
def test_the_autoencoders_logit_is_minus_the_mean_error(name: str) -> None:
    network, x = critic(name, head="autoencoder", head_dim=6), images()
    outputs = network.outputs(x)
    decoded = network.head.decode(outputs.features)
    assert decoded.shape == x.shape
    for i in range(N):
        expected = -sum((x[i, c] - decoded[i, c]).abs().sum() for c in range(3)) / x[i].numel()
        torch.testing.assert_close(outputs.logits[i, 0], expected)
    assert network.head.code.weight.shape[0] == 6


def test_the_bottleneck_by_its_formula() -> None:
    network = critic("stylegan2", head="bottleneck", head_dim=5)
    for parameter in network.head.parameters():
        parameter.data.add_(0.3)
    random = random_inputs(network)
    outputs, quiet = network.outputs(images(), None, random), network.outputs(images())
    head, h = network.head, outputs.features
    prior = torch.distributions.Normal(torch.zeros(5).double(), torch.ones(5).double())
    for i in range(N):
        mean, deviation = head.mean(h[i : i + 1])[0], (head.log_variance(h[i : i + 1])[0] / 2).exp()
        divergence = torch.distributions.kl_divergence(torch.distributions.Normal(mean, deviation), prior).sum()
        torch.testing.assert_close(outputs.divergence[i, 0], divergence)
        z = mean + deviation * random["bottleneck"][i]
        torch.testing.assert_close(outputs.logits[i], head.out(z[None])[0])
        torch.testing.assert_close(quiet.logits[i], head.out(mean[None])[0])
    torch.testing.assert_close(quiet.divergence, outputs.divergence)


@BOTH
def test_dropout_follows_the_last_blocks_and_keeps_the_mean(name: str) -> None:
    network = critic(name, dropout=[0.25, 0.5])
    assert {k: (r.kind, tuple(r.shape)) for k, r in network.random_inputs.items()} == {
        "dropout8": ("uniform", (8, 8, 8)),
        "dropout4": ("uniform", (8, 4, 4)),
    }
    count = 4000
    y = torch.ones(count, 8, 4, 4).double()
    random = random_inputs(network, count)
    found = network.after_block(y, random)
    assert set(found.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(found == 0, random["dropout4"] < 0.5)
    wide = network.after_block(torch.ones(count, 8, 8, 8).double(), random)
    # The mean of n zeros and 1 / (1 - p) has a deviation of sqrt(p / (1 - p) / n).
    assert abs(wide.mean() - 1) < 5 * math.sqrt(0.25 / 0.75 / wide.numel())
    assert torch.equal(network.after_block(y, None), y)
    assert not torch.equal(network.outputs(images(), None, random_inputs(network)).logits, network(images()))


@pytest.mark.parametrize("head", ["projection", "bottleneck", "autoencoder", "classes_plus_fake"])
def test_gradgradcheck(head: str) -> None:
    """A gradient penalty differentiates the logits twice."""
    network = critic("stylegan2", 8, num_classes=K, head=head, head_dim=3, attention_resolution=4, activation="swish")
    network.attention.gamma.data.fill_(0.5)
    x, c = images(8, 2), labels()[:2]
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    random = random_inputs(network, 2)
    function = lambda t: network.outputs(x + t * direction, c, random).logits  # noqa: E731
    assert torch.autograd.gradgradcheck(function, (torch.zeros(()).double().requires_grad_(),))


def test_dropout_and_heads_of_a_growing_discriminator() -> None:
    network = critic("stylegan1", dropout=[0.5, 0.5], attention_resolution=8, head="bottleneck", head_dim=4)
    random = random_inputs(network)
    for resolution, alpha in ((4, 1.0), (8, 0.5), (16, 0.5)):
        network.set_level(resolution, alpha)
        assert network.outputs(images(resolution), None, random).logits.isfinite().all()


@BOTH
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "scaler"}, r"discriminator\.head=scaler.*Did you mean scalar"),
        ({"head": "classes"}, r"discriminator\.head=classes data\.use_labels=false.*Use data\.use_labels=true"),
        ({"attention_resolution": 16}, r"attention_resolution=16.*Use 8, or null"),
        ({"dropout": [0.1, 0.1, 0.1]}, r"discriminator\.dropout=\[0\.1, 0\.1, 0\.1\].*Use 2 rates or fewer"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        critic(name, **settings)
