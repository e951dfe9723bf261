"""Regularizers of the weights: spectral normalization, clipping, orthogonality."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylegen import randomness
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.networks import build_generator
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.regularizers import WeightBatch
from stylegen.regularizers.orthogonal import Orthogonal
from stylegen.regularizers.spectral_norm import SpectralNorm
from stylegen.regularizers.weight_clipping import WeightClipping
from stylegen.training.freeze import frozen_parameters, learning_parameters
from tests.support.regularized_steps import regularized_step, train
from tests.support.tiny import SMALL, tiny_generator


def new_critic() -> Discriminator:
    with randomness.seeded_construction(0, "critic"):
        return Discriminator(8, channel_base=64, channel_max=8).double()


def applied(network: nn.Module) -> dict[str, Tensor]:
    """The weights as the layers apply them, [out, in * k * k]."""
    layers = {n: m for n, m in network.named_modules() if isinstance(m, EqualizedConv2d | EqualizedLinear)}
    return {name: layer.weight.flatten(1) * layer.weight_gain for name, layer in layers.items()}


def test_normalized_weights_have_spectral_norm_one() -> None:
    critic = new_critic()
    before = {name: weight.detach().numpy() for name, weight in applied(critic).items()}
    (norm := SpectralNorm()).attach(critic)
    for _ in range(200):
        norm.begin_step(0)
    for name, weight in applied(critic).items():
        expected = before[name] / np.linalg.norm(before[name], ord=2)
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_one_power_iteration_and_the_gradient_of_equation_12() -> None:
    layer, norm = EqualizedLinear(3, 2).double(), SpectralNorm()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 1.0, 0.0], [0.5, -1.0, 3.0]]))
    network = nn.Sequential(layer)
    norm.attach(network)
    norm.u.copy_(torch.tensor([0.6, 0.8], dtype=torch.float64))
    norm.begin_step(1)
    W, u = np.array([[2.0, 1.0, 0.0], [0.5, -1.0, 3.0]]), np.array([0.6, 0.8])
    v = W.T @ u / np.linalg.norm(W.T @ u)
    u = W @ v / np.linalg.norm(W @ v)
    np.testing.assert_allclose(norm.u.numpy(), u, rtol=1e-14)
    v = W.T @ u / np.linalg.norm(W.T @ u)
    sigma = u @ W @ v
    normalized = layer.weight * layer.weight_gain
    np.testing.assert_allclose(normalized.detach().numpy(), W / sigma, rtol=1e-14)
    outer = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    (gradient,) = torch.autograd.grad((normalized * torch.tensor(outer)).sum(), list(network.parameters())[1])
    expected = (outer - (outer * W / sigma).sum() * np.outer(u, v)) / sigma
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-12)


def test_the_first_step_normalizes_weights_that_init_has_replaced() -> None:
    layer, norm = EqualizedLinear(2, 2).double(), SpectralNorm()
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([1.0, 1.5])))
    norm.attach(nn.Sequential(layer))
    layer.load_state_dict({"weight": torch.diag(torch.tensor([3.0, 1.0])), "bias": torch.zeros(2)})
    norm.begin_step(0)
    largest = (layer.weight * layer.weight_gain).abs().max().item()
    assert largest == pytest.approx(1, rel=1e-6), "one power iteration would take the other direction: 3"


def test_forward_passes_do_not_change_the_vectors_and_names_stay() -> None:
    critic, plain = new_critic(), new_critic()
    (norm := SpectralNorm()).attach(critic)
    before = norm.u.clone()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(critic(images), critic(images))
    assert torch.equal(norm.u, before)
    assert critic.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(critic.state_dict())
    changed = {name: 2 * value for name, value in plain.state_dict().items()}
    critic.load_state_dict(copy.deepcopy(changed))
    assert all(torch.equal(value, changed[name]) for name, value in critic.state_dict().items())
    frozen = frozen_parameters(plain, 2)
    assert len(learning_parameters(critic, frozen)) == len(learning_parameters(plain, frozen))


def test_normalized_training_resumes_bit_for_bit() -> None:
    step = regularized_step({"spectral_norm": {}, "r1": {"every": 1}})
    train(step, 1)
    again = regularized_step({"spectral_norm": {}, "r1": {"every": 1}})
    again.load_state_dict(copy.deepcopy(step.state_dict()))
    expected = train(step, 1)
    assert all(torch.equal(value, expected[name]) for name, value in train(again, 1).items())


def test_clipping_limits_what_layers_apply() -> None:
    step = regularized_step({"weight_clipping": {"limit": 0.02}})
    train(step, 1)
    largest = [weight.abs().max().item() for weight in applied(step.D).values()]
    assert largest == pytest.approx([0.02] * len(largest), rel=1e-12), "clipped, by the effective weight"
    biases = [p for name, p in step.D.named_parameters() if name.endswith("bias")]
    assert max(bias.abs().max().item() for bias in biases) <= 0.02
    WeightClipping(limit=0.5).end_step(step.D)
    assert largest == pytest.approx([w.abs().max().item() for w in applied(step.D).values()])


@pytest.mark.parametrize("network", ["G", "D"])
def test_orthogonal_against_numpy(network: str) -> None:
    """StyleGAN2's modulated convolutions count at the scale of the equalized learning rate, which they do not need."""
    module = (new_critic() if network == "D" else tiny_generator(8).double()).requires_grad_(True)
    weights = [weight.detach().numpy() for weight in applied(module).values()]
    if network == "G":
        modulated = [m.weight.detach() for m in module.modules() if type(m).__name__ in ("StyledConv", "ToRGB")]
        assert modulated
        weights += [(w.flatten(1) / w[0].numel() ** 0.5).numpy() for w in modulated]
    expected = sum(((W @ W.T * (1 - np.eye(len(W)))) ** 2).sum() for W in weights)
    term = Orthogonal(weight=0.1, network=network)
    value = term(WeightBatch(module, 4))
    assert value.item() == pytest.approx(0.1 * expected, rel=1e-12)
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, [m for m in module.parameters() if m.ndim > 3]))


@pytest.mark.parametrize(
    "settings",
    [SMALL | {"name": "stylegan2"}, {"name": "r3gan", "channel_base": 32, "channel_max": 4, "cardinality": [1]}],
)
def test_orthogonal_leaves_out_the_embedding_of_labels(settings: dict[str, Any]) -> None:
    """As BigGAN's code: the embeddings of more classes than dimensions cannot be orthogonal."""
    module = build_generator(resolution=8, num_classes=3, **settings).requires_grad_(True)
    value = Orthogonal(network="G")(WeightBatch(module, 1))
    gradients = torch.autograd.grad(value, list(module.parameters()), allow_unused=True)
    unused = {key for (key, p), g in zip(module.named_parameters(), gradients, strict=True) if g is None and p.ndim > 1}
    assert len([key for key in unused if "embed" in key]) == 1
