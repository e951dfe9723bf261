"""Read golden files and compare with them; tests/golden/README.md describes the files."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

DIRECTORY = Path(os.environ.get("STYLEGEN_GOLDEN_DIR") or Path(__file__).parents[1] / "golden" / "data")
KINDS = {
    "stylegan2_train_steps": "train_steps",
    "r3gan_train_steps": "r3gan_train_steps",
    "r3gan_": "r3gan",
    "stylegan1_": "stylegan1",
    "stylegan2_": "stylegan2",
    "stylegan3_": "stylegan3",
    "ops": "ops",
    "ada": "ada",
}


@dataclass(frozen=True)
class Golden:
    """One file: settings under the reference's names, and tensors."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Tensors with the name prefix `prefix`, which is removed."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]


def kind_of(path: Path) -> str:
    """The kind at the start of a file's name; training steps may have any infix before `train_steps`."""
    if path.stem.startswith("stylegan2_") and path.stem.endswith("train_steps"):
        return "train_steps"
    for start, kind in KINDS.items():
        if path.stem.startswith(start):
            return kind
    raise ValueError(f"{path.name}: no golden kind starts like this; known: {sorted(KINDS)}")


def load(path: Path) -> Golden:
    with safe_open(path, "pt") as file:
        return Golden(json.loads(file.metadata()["config"]), {k: file.get_tensor(k) for k in file.keys()})  # noqa: SIM118


def files(kind: str) -> list[Any]:
    """The files of one kind as test parameters."""
    paths = sorted(DIRECTORY.glob("*.safetensors"))
    return [pytest.param(path, id=path.stem) for path in paths if kind_of(path) == kind]


def assert_output(actual: Tensor, expected: Tensor, name: str = "") -> None:
    """|a - b| <= 1e-3 |b| + 1e-4 max |b|: outputs, logits, losses."""
    _assert_within(actual, expected, 1e-3 * expected.abs() + 1e-4 * expected.abs().max(), name)


def assert_gradient(actual: Tensor, expected: Tensor, name: str = "") -> None:
    """|a - b| <= 5e-3 max |b| + 1e-7: gradients, and weights after training steps."""
    _assert_within(actual, expected, 5e-3 * expected.abs().max() + 1e-7, name)


def assert_gradients(loss: Tensor, module: nn.Module, expected: Mapping[str, Tensor]) -> None:
    """Differentiate `loss` by every parameter and compare; a parameter without an entry has gradient zero."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    unknown = set(expected) - set(names)
    assert not unknown, f"gradients of no parameter of ours: {unknown}"
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        assert_gradient(gradient, expected.get(name, torch.zeros_like(parameter)), name)


def _assert_within(actual: Tensor, expected: Tensor, limit: Tensor, name: str) -> None:
    assert actual.shape == expected.shape, f"{name}: {list(actual.shape)} instead of {list(expected.shape)}"
    excess = ((actual.detach() - expected).abs() - limit).max()
    assert excess <= 0, f"{name}: beyond the tolerance by {excess.item():.3g}"


def unnoticed(networks: Iterable[nn.Module], notices: Callable[[], bool], bias_factor: float = 1.01) -> list[str]:
    """Weight tensors that can be scaled by 1 % (biases by `bias_factor`) without `notices` detecting it.

    Tensors of zeros and the mapping's biases are skipped.
    """
    found = []
    for network in networks:
        for name, parameter in network.named_parameters():
            if not parameter.any() or (name.startswith("mapping") and name.endswith("bias")):
                continue
            original = parameter.detach().clone()
            parameter.data.mul_(bias_factor if name.endswith("bias") else 1.01)
            if not notices():
                found.append(f"{type(network).__name__}.{name} of magnitude {original.abs().max():.2g}")
            parameter.data.copy_(original)
    return found
