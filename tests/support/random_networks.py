"""Files of seeded random weights: tests are offline and cannot download the published ones."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylegen import randomness


def seeded_state(network: nn.Module) -> dict[str, Tensor]:
    """He-normal matrices and kernels, small biases; unchanged batch norm statistics and counters."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in network.state_dict().items():
        if value.ndim >= 2:
            state[name] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        elif name.endswith("bias"):
            state[name] = torch.randn(value.shape, generator=generator) * 0.1
        else:
            state[name] = value.clone()
    return state


def write_inception(path: Path) -> Path:
    """Weights for torch-fidelity's Inception, 95 MB."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unloaded(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args: Any, **kwargs: Any) -> None:
            """Replaces loading, which the constructor requires, before any weights exist."""

    torch.save({}, path)
    state = seeded_state(Unloaded("inception", ["2048"], feature_extractor_weights_path=str(path)))
    state["fc.weight"] *= 8  # with equal logits for all images every inception score would be 1
    torch.save(state, path)
    return path


class SmallVGG16(nn.Module):
    """Replaces torchvision's VGG16: its 138 million weights would take longer than the tests."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 7, stride=8), nn.ReLU())
        self.classifier = nn.Sequential(
            nn.Linear(8, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 24), nn.ReLU(), nn.Dropout(), nn.Linear(24, 5)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).mean((2, 3)))


def random_images(count: int, side: int = 32, channels: int = 3) -> Tensor:
    shape = (channels, side, side)
    return randomness.integers(256, 0, "tests/pictures", torch.arange(count), shape).to(torch.uint8)
