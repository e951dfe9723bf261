"""Self-attention against a slow twin, pixel by pixel, with second derivatives."""

import torch
from torch import Tensor

from stylegen.layers.self_attention import SelfAttention


def attention(channels: int, gamma: float) -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(channels).double()
    layer.gamma.data.fill_(gamma)
    return layer


def slow_attention(layer: SelfAttention, x: Tensor) -> Tensor:
    """y_i = x_i + gamma W_o sum_j a_ij g_j, with loops over images, pixels i and 2x2 blocks j."""
    weights = {name: getattr(layer, name).weight[:, :, 0, 0] for name in ("theta", "phi", "g", "out")}
    weights = {name: weight / weight.shape[1] ** 0.5 for name, weight in weights.items()}  # equalized
    images = []
    for image in x:
        blocks = [
            [image[:, 2 * r + a, 2 * c + b] for a in range(2) for b in range(2)]
            for r in range(image.shape[1] // 2)
            for c in range(image.shape[2] // 2)
        ]
        pooled = {
            name: [torch.stack([weights[name] @ pixel for pixel in block]).amax(0) for block in blocks]
            for name in ("phi", "g")
        }
        rows = []
        for r in range(image.shape[1]):
            row = []
            for c in range(image.shape[2]):
                products = torch.stack([(weights["theta"] @ image[:, r, c]) @ phi for phi in pooled["phi"]])
                shares = products.exp() / products.exp().sum()
                mixed = sum(share * g for share, g in zip(shares, pooled["g"], strict=True))
                row.append(image[:, r, c] + layer.gamma * (weights["out"] @ mixed))
            rows.append(torch.stack(row, dim=1))
        images.append(torch.stack(rows, dim=1))
    return torch.stack(images)


def test_it_equals_its_slow_twin_with_first_and_second_gradients() -> None:
    layer, x = attention(16, 0.7), torch.randn(2, 16, 2, 4, dtype=torch.float64, requires_grad=True)
    inputs = [x, *layer.parameters()]
    found, expected = layer(x), slow_attention(layer, x)
    assert layer.theta.weight.shape[0] == layer.phi.weight.shape[0] == 2
    assert layer.g.weight.shape[0] == 8
    torch.testing.assert_close(found, expected)
    first = [torch.autograd.grad(y.square().sum(), inputs, create_graph=True) for y in (found, expected)]
    torch.testing.assert_close(*first)
    second = [torch.autograd.grad(sum(g.square().sum() for g in gradients), inputs) for gradients in first]
    torch.testing.assert_close(*second)


def test_gradgradcheck() -> None:
    layer, x = attention(8, 0.5), torch.randn(1, 8, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,))


def test_it_starts_as_the_identity_and_learns_from_the_first_step() -> None:
    layer, x = SelfAttention(8), torch.randn(2, 8, 4, 4)
    y = layer(x)
    assert torch.equal(y, x)
    (gradient,) = torch.autograd.grad(y.square().sum(), layer.gamma)
    assert gradient != 0
