"""Features of a randomly initialized VGG16: a metric that needs no download.

After Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models" (arXiv 2002.09797), section 4:
features of a random VGG16 also distinguish distributions on which features trained on ImageNet's photographs are
uninformative. The paper uses the 4096 values after the second dense layer at 224 px; here the 13 convolutions of
Simonyan and Zisserman 2015 (arXiv 1409.1556, configuration D) run at the image's own size, and the last map is averaged
over positions.

The map after pool5 balances sensitivities best: the distance in random features mostly measures sharpness. On 792 emoji
portraits at 32 px, relative to the distance of the reals averaged over 2x2 pixels, one image repeated gave 0.39
(relu4_3), 0.67 (relu5_3) and 0.80 (pool5), dropping half of the modes 0.04, 0.07 and 0.09, and noise of 32 levels
0.025, 0.049 and 0.065. All three increase monotonically with blur, noise and dropped modes; pool5 is the most sensitive
to the last two.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.features.extractor import as_rgb, chunk_size, full_precision
from stylegen.images import to_float

LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
SEED = 0
MIN_SIDE = 32  # five poolings leave one position
VERSION = 1

_IMAGES_PER_CHUNK = 32  # fastest on a CPU: the maps of one chunk nearly fit its caches
_PIXELS_PER_CHUNK = 2**20  # 64 float32 channels of this many pixels are 256 MiB


class RandomVGG16:
    """VGG16's convolution trunk with weights from `stylegen.randomness`: 512 features, no download.

    Input: x / 127.5 - 1 at the image's own size; below 32 px pixels are repeated to reach at least 32 px. 13
    convolutions 3x3 with zero padding and ReLU; max pooling 2x2 after the 2nd, 4th, 7th, 10th and 13th; weights N(0,
    2 / fan_in) (He et al. 2015, eq. 10), biases 0. Features: the map after the last pooling, averaged over positions.

    Args:
        device: CPU and GPU differ by rounding only, because the weights are the same.
    """

    name = "random_vgg16"
    weights_id = f"random_vgg16/v{VERSION}/seed{SEED}"
    dim = 512

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.weights = [weight.to(self.device, memory_format=torch.channels_last) for weight in random_weights(SEED)]
        self.recipe: dict[str, object] = {
            "paper": "arXiv 2002.09797",
            "network": "VGG16 (configuration D), 13 convolutions 3x3 with zero padding, ReLU, 5 max poolings 2x2",
            "weights": "normal(0, 2 / fan_in) by Philox4x32-10 and Box-Muller, keyed by layer; biases 0",
            "seed": SEED,
            "version": VERSION,
            "input": f"x / 127.5 - 1 at own size; below {MIN_SIDE} px each pixel repeated ceil({MIN_SIDE} / side)",
            "features": "map after pool5, mean over positions",
            "dim": self.dim,
            "precision": "float32",
        }

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, 512]; see `FeatureExtractor`."""
        height, width = images.shape[-2:]
        chunk = max(1, min(_IMAGES_PER_CHUNK, _PIXELS_PER_CHUNK // (height * width)))
        chunk = chunk_size(self.device, chunk, max(height * width, MIN_SIDE**2))
        with full_precision(self.device):
            chunks = [self._trunk(part) for part in as_rgb(images).split(chunk)]
        return torch.cat(chunks)

    def _trunk(self, images: Tensor) -> Tensor:
        x = to_float(images.to(self.device))
        factor = -(-MIN_SIDE // min(x.shape[-2:]))
        if factor > 1:
            x = x.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
        x = x.contiguous(memory_format=torch.channels_last)
        weights = iter(self.weights)
        for layer in LAYERS:
            if layer == "M":
                x = functional.max_pool2d(x, 2)
                continue
            x = functional.conv2d(x, next(weights), padding=1).relu_()
        return x.mean(dim=(2, 3))


@cache  # 59 MB and one second, shared by all evaluations of a run
def random_weights(seed: int) -> list[Tensor]:
    """The 13 kernels, float32 [out, in, 3, 3]: N(0, 2 / (9 in)); kernel k, output channel i keyed by both."""
    kernels: list[Tensor] = []
    channels = 3
    for width in LAYERS:
        if isinstance(width, int):
            purpose = f"random_vgg16/conv{len(kernels)}"
            noise = randomness.normal(seed, purpose, torch.arange(width), (channels, 3, 3))
            kernels.append(noise * (2 / (9 * channels)) ** 0.5)
            channels = width
    return kernels
