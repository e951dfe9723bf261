"""Images of Pillow as tensors."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def from_pil(image: Image.Image) -> Tensor:
    """Pillow image of mode L, LA, RGB or RGBA -> uint8 CHW."""
    array = np.array(image)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
