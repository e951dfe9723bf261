"""Training in float64, and equality up to the order of sums."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from stylegen.images import to_float

# With the default eps of 1e-8, Adam amplifies the rounding error of a zero gradient, and weights differ by up to the
# learning rate. With this eps a step amplifies a difference by at most lr / eps = 2.5.
EPS = "optimizer.eps=1e-3"


def assert_same_state(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal up to the order of sums in float64: 2^-53 for each of 2^16 terms or fewer is 1e-11 of the largest sum, and
    a few steps of Adam amplify it by 2.5 each."""
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-10, atol=1e-13, msg=name)


class Double:
    """Wraps an object and returns its tensors in float64."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: double(getattr(self.inner, name)(*arguments))


def double(value: Any) -> Any:
    """Every tensor of nested tuples in float64; integers stay."""
    return tree_map_only(Tensor, lambda t: t.double() if t.is_floating_point() else t, value)


class DoubleImages:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, labels = self.dataset.batch(indices)
        return to_float(images).double(), labels.double()
