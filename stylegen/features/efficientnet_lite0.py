"""EfficientNet-Lite0 trained on ImageNet: learned features from a 17 MB package on PyPI, without another download.

EfficientNet (Tan and Le 2019, arXiv 1905.11946, table 1) without squeeze-and-excitation and with ReLU6 for swish, as
published by Google in 2020. MobileNetV2 blocks (Sandler et al. 2018, arXiv 1801.04381, figure 3d): expand 1x1,
depthwise k x k, project 1x1, plus the input where shapes agree. TensorFlow's SAME padding; batch norms have epsilon
1e-3.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from stylegen.features.extractor import as_rgb, chunk_size, full_precision
from stylegen.features.weights import load_weights, unusable

SIDE = 224  # the resolution of training
SMALL_SIDE, SMALL = 128, 64
"""Images of at most 64 px are resized to 128 px: 150 images/s on a CPU core instead of 37 at 224 px, with nearly the
same sensitivity. On 127 portraits of 32 px, Frechet distance by the trace of the covariance at 128 and 224 px: blur of
sigma 0.5 px 0.19 and 0.24, 1 px 1.15 and 1.41, salt and pepper on 5 % of the pixels 0.59 and 0.86, noise of 8 levels
0.45 and 0.49, JPEG 75 0.73 and 0.76, two pairs of patches swapped 0.80 and 0.78.
"""
VERSION = 1  # increase with any change between image and features
EPSILON = 1e-3
# Table 1: expansion, kernel, stride of the first block, width, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM, HEAD, CLASSES = 32, 1280, 1000

_IMAGES_PER_CHUNK = 8


@dataclass(frozen=True)
class Layer:
    """A convolution and the batch norm after it.

    Args:
        conv, norm: their names in the weights file.
        shape: [out, in / groups, k, k], of the kernel.
        stride: 1 or 2.
        relu: whether ReLU6 follows.
    """

    conv: str
    norm: str
    shape: tuple[int, int, int, int]
    stride: int = 1
    relu: bool = True


def _block(prefix: str, width_in: int, expansion: int, kernel: int, stride: int, width: int) -> list[Layer]:
    wide = width_in * expansion
    layers = [Layer(f"{prefix}._expand_conv", f"{prefix}._bn0", (wide, width_in, 1, 1))] if expansion > 1 else []
    layers.append(Layer(f"{prefix}._depthwise_conv", f"{prefix}._bn1", (wide, 1, kernel, kernel), stride))
    return [*layers, Layer(f"{prefix}._project_conv", f"{prefix}._bn2", (width, wide, 1, 1), relu=False)]


def _blocks() -> list[list[Layer]]:
    blocks: list[list[Layer]] = []
    width_in = STEM
    for expansion, kernel, stride, width, count in STAGES:
        for index in range(count):
            first = index == 0
            blocks.append(_block(f"_blocks.{len(blocks)}", width_in, expansion, kernel, stride if first else 1, width))
            width_in = width
    return blocks


_FIRST = [Layer("_conv_stem", "_bn0", (STEM, 3, 3, 3), stride=2)]
_LAST = [Layer("_conv_head", "_bn1", (HEAD, STAGES[-1][3], 1, 1))]
BLOCKS: list[list[Layer]] = [_FIRST, *_blocks(), _LAST]


def shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the weights file."""
    found: dict[str, tuple[int, ...]] = {"_fc.weight": (CLASSES, HEAD), "_fc.bias": (CLASSES,)}
    for layer in (layer for block in BLOCKS for layer in block):
        found[f"{layer.conv}.weight"] = layer.shape
        found |= {
            f"{layer.norm}.{name}": (layer.shape[0],) for name in ("weight", "bias", "running_mean", "running_var")
        }
        found[f"{layer.norm}.num_batches_tracked"] = ()
    return found


class EfficientNetLite0:
    """The 1280 features before the classifier, averaged over positions.

    Input: resized to 224 px, or 128 px for images of at most 64 px (bicubic, with antialiasing), then (x - 127) / 128.
    """

    name = "efficientnet_lite0"
    dim = HEAD

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        loaded = load_weights(self.name, weights)
        if {name: tuple(tensor.shape) for name, tensor in loaded.tensors.items()} != shapes():
            raise unusable(self.name, loaded.path, "its tensors do not match EfficientNet-Lite0")
        self.device = torch.device(device)
        self._folded = [[self._fold(layer, loaded.tensors) for layer in block] for block in BLOCKS]
        self.weights_id = f"{loaded.id}/v{VERSION}"
        self.recipe: dict[str, object] = {
            "paper": "arXiv 1905.11946",
            "network": "EfficientNet-Lite0, ImageNet",
            "weights_file": loaded.path.name,
            "weights_published": loaded.is_published,
            "version": VERSION,
            "input": f"antialiased bicubic to {SIDE} px ({SMALL_SIDE} px up to {SMALL} px), (x - 127) / 128",
            "features": "head after ReLU6, mean over positions",
            "dim": self.dim,
            "precision": "float32",
        }

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, 1280]; see `FeatureExtractor`."""
        chunk = chunk_size(self.device, _IMAGES_PER_CHUNK, SIDE**2)
        with full_precision(self.device):
            return torch.cat([self._features(part.to(self.device)) for part in as_rgb(images).split(chunk)])

    def _features(self, images: Tensor) -> Tensor:
        x = images.float()
        side = SMALL_SIDE if max(x.shape[-2:]) <= SMALL else SIDE
        if x.shape[-2:] != (side, side):
            x = functional.interpolate(x, (side, side), mode="bicubic", align_corners=False, antialias=True)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        for block, folded in zip(BLOCKS, self._folded, strict=True):
            y = x
            for layer, (kernel, bias) in zip(block, folded, strict=True):
                y = convolve(y, kernel, bias, layer.stride)
                y = y.clamp_(0, 6) if layer.relu else y
            x = y + x if len(block) > 1 and y.shape == x.shape else y
        return x.mean(dim=(2, 3))

    def _fold(self, layer: Layer, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Kernel and bias of the convolution with its batch norm folded in, computed in float64."""
        gamma, beta, mean, variance = (
            state[f"{layer.norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / (variance + EPSILON).sqrt()
        kernel = state[f"{layer.conv}.weight"].double() * scale[:, None, None, None]
        return (
            kernel.float().to(self.device, memory_format=torch.channels_last),
            (beta - mean * scale).float().to(self.device),
        )


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolution with TensorFlow's SAME padding: ceil(side / stride) positions, an odd zero on the right and below."""
    groups = x.shape[1] // kernel.shape[1]
    size = kernel.shape[-1]
    pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in (x.shape[-1], x.shape[-2])]
    if all(pad % 2 == 0 for pad in pads):
        return functional.conv2d(x, kernel, bias, stride, (pads[1] // 2, pads[0] // 2), groups=groups)
    across, down = ((pad // 2, pad - pad // 2) for pad in pads)
    return functional.conv2d(functional.pad(x, (*across, *down)), kernel, bias, stride, groups=groups)
