"""LPIPS, a perceptual distance of two images (Zhang et al. 2018, arXiv 1801.03924), for the perceptual path length.

With VGG16's five maps f_l (relu1_2, 2_2, 3_3, 4_3, 5_3), normalized to unit length over channels, eq. 1:

    d(x, y) = sum_l  1 / (H_l W_l)  sum_hw  sum_c  w_lc (f_l(x) - f_l(y))_hwc^2

with w_l >= 0 learned from human judgments. `RandomLPIPS` is the same formula with the weights of `random_vgg16` and
w_l = 1. It needs no download; its values are not comparable with LPIPS.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from stylegen.features.extractor import chunk_size, full_precision
from stylegen.features.random_vgg16 import LAYERS, SEED, VERSION, random_weights
from stylegen.features.weights import FILES_OF, is_present, load_weights, unusable

MIN_SIDE = 16  # four poolings leave one position
_TAPS = (2, 4, 7, 10, 13)  # f_l is the map after the ReLU of these convolutions
_PAIRS_PER_CHUNK = 16
# ImageNet's mean and deviation in the units of [-1, 1], as LPIPS v0.1 rounds them.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class _Distance:
    """The formula above.

    Args:
        kernels, biases: parameters of the 13 convolutions.
        layers: w_l, float [C_l] each.
        device: device of the parameters; images are moved to it.
    """

    dim = 1

    def __init__(
        self,
        kernels: Sequence[Tensor],
        biases: Sequence[Tensor],
        layers: Sequence[Tensor],
        device: torch.device | str,
    ) -> None:
        self.device = torch.device(device)
        self.kernels = [k.to(self.device, memory_format=torch.channels_last) for k in kernels]
        self.biases = [b.to(self.device) for b in biases]
        self._shift, self._scale = (torch.tensor(v, device=self.device)[:, None, None] for v in (_SHIFT, _SCALE))
        self.layers = [w.to(self.device)[None, :, None, None] for w in layers]

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Two float [N, 1 or 3, H, W] in [-1, 1] -> float32 [N, 1]; see `PairDistance`."""
        chunk = chunk_size(self.device, _PAIRS_PER_CHUNK, 2 * first[0, 0].numel())
        with full_precision(self.device):
            chunks = zip(first.split(chunk), second.split(chunk), strict=True)
            return torch.cat([self._distance(a, b) for a, b in chunks])

    def embed(self, images: Tensor) -> Tensor:
        """float [N, 1 or 3, H, W] in [-1, 1] -> [N, K], differentiable; d(x, y) = |embed(x) - embed(y)|^2.

        Components are sqrt(w_lc / (H_l W_l)) f_l(x).
        """
        parts = []
        for features, weight in zip(self._maps(images.to(self.device).float()), self.layers, strict=True):
            unit = features / (features.norm(dim=1, keepdim=True) + _EPSILON)
            parts.append((unit * (weight / unit[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(parts, dim=1)

    def _distance(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = self.embed(torch.cat([first, second])).chunk(2)
        return (a - b).square().sum(dim=1, keepdim=True)

    def _maps(self, x: Tensor) -> list[Tensor]:
        x = x.expand(-1, 3, -1, -1)
        factor = -(-MIN_SIDE // min(x.shape[-2:]))
        if factor > 1:
            x = x.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
        x = (x - self._shift) / self._scale
        x = x.contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = []
        done = 0
        for layer in LAYERS:
            if layer == "M":
                x = functional.max_pool2d(x, 2) if len(maps) < len(_TAPS) else x
                continue
            x = functional.conv2d(x, self.kernels[done], self.biases[done], padding=1).relu()
            done += 1
            if done in _TAPS:
                maps.append(x)
        return maps


class LPIPS(_Distance):
    """LPIPS v0.1 on torchvision's VGG16, the distance of `ppl2_wend`; `weights` is the folder of both files."""

    name = "lpips"

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        vgg16, linear = load_weights("vgg16", weights), load_weights("lpips_layers", weights)
        trunk, state = vgg16.tensors, linear.tensors
        names = [name.removesuffix(".weight") for name in trunk if name.startswith("features.") and "weight" in name]
        layers = [state[name].flatten() for name in sorted(state) if name.startswith("lin")]
        kernels = [trunk[f"{name}.weight"] for name in names]
        if [k.shape[0] for k in kernels] != [width for width in LAYERS if width != "M"]:
            raise unusable("vgg16", vgg16.path, "its tensors do not match VGG16's 13 convolutions")
        if [len(w) for w in layers] != [64, 128, 256, 512, 512]:
            raise unusable("lpips_layers", linear.path, "its tensors do not match the five layers of LPIPS")
        super().__init__(kernels, [trunk[f"{name}.bias"] for name in names], layers, device)
        self.weights_id = f"{vgg16.id}+{linear.id.removeprefix('sha256:')}"
        self.recipe: dict[str, object] = {
            "paper": "arXiv 1801.03924",
            "network": "LPIPS v0.1 on VGG16, torchvision IMAGENET1K_V1",
            "weights_file": f"{vgg16.path.name}, {linear.path.name}",
            "weights_published": vgg16.is_published and linear.is_published,
            "precision": "float32",
        }


class RandomLPIPS(_Distance):
    """LPIPS's formula with the kernels of `random_vgg16`, biases 0 and w_l = 1."""

    name = "lpips_random_vgg16"
    weights_id = f"random_vgg16/v{VERSION}/seed{SEED}"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        kernels = random_weights(SEED)
        layers = [torch.ones(len(kernels[tap - 1])) for tap in _TAPS]
        super().__init__(kernels, [torch.zeros(len(k)) for k in kernels], layers, device)
        self.recipe: dict[str, object] = {
            "network": "the form of LPIPS on a VGG16 that was never trained, all w 1",
            "weights": self.weights_id,
            "precision": "float32",
        }


def perceptual_distance(
    kind: str, weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> LPIPS | RandomLPIPS:
    """A distance by "lpips" or "random"; "auto" is LPIPS if both of its files are on this machine."""
    present = all(is_present(name, weights) for name in FILES_OF["lpips"])
    return LPIPS(weights, device) if kind == "lpips" or (kind == "auto" and present) else RandomLPIPS(device)
