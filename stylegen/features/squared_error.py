"""The squared difference of two images, for the equivariance of a generator; no network."""

import torch
from torch import Tensor


class SquaredError:
    """Sum of squared differences, and the number of values in it.

    Attributes:
        name, weights_id, dim, recipe: see `FeatureExtractor`.
    """

    name, weights_id, dim = "squared_error", "none", 2

    def __init__(self) -> None:
        self.recipe: dict[str, object] = {"images": "float, neither clamped nor quantized", "peak": "2, of [-1, 1]"}

    def __call__(self, first: Tensor, second: Tensor, valid: Tensor) -> Tensor:
        """Two float [N, C, H, W], and 1.0 for the pixels to compare [N, 1, H, W] -> float32 [N, 2]."""
        squares = (first - second).square() * valid
        count = valid.flatten(1).sum(dim=1) * first.shape[1]
        return torch.stack([squares.flatten(1).sum(dim=1), count], dim=1).float()
