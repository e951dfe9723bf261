"""Conditioning layers with random weights, and conditions for them."""

import torch
from torch import Tensor

from stylegen.layers.conditioning import CONDITIONINGS, Conditioning

CHANNELS, DIM = 3, 5
BATCH_STATISTICS = [name for name, family in CONDITIONINGS.items() if family.needs_batch]


def make(name: str, channels: int = CHANNELS, dim: int = DIM) -> Conditioning:
    """A layer with non-zero weights, biases and tables."""
    torch.manual_seed(3)
    layer = CONDITIONINGS[name](channels, dim).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def condition_for(name: str, count: int, dim: int = DIM) -> Tensor:
    """A vector; for a class table, weights of a mixture."""
    v = torch.randn(count, dim, dtype=torch.float64)
    return v.softmax(dim=1) if CONDITIONINGS[name].kind == "index" else v
