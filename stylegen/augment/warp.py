"""Anti-aliased warp, applied once for all blitting and geometry (Karras et al. 2020a, arXiv 2006.06676, appendix B).

Up-sample by two with sym6, sample bilinearly, down-sample by two with the same taps. The wavelet is orthogonal, so a
translation by whole pixels is exact. At twice the sampling rate bilinear sampling blurs little and does not alias.
Images are mirrored at their edges.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from stylegen.augment.affine import apply
from stylegen.augment.bilinear import bilinear
from stylegen.augment.filters import BLOCK, SYM6, band_matrix, filter_height, reflect, windows

_TAPS = len(SYM6)
_BORDER = _TAPS // 2 - 1  # samples at double rate outside the image that down-sampling reads; also the centre tap
_REACH = _TAPS // 4  # pixels on each side of a block that up-sampling reads


def warp(images: Tensor, source: Tensor) -> Tensor:
    """out(position) = images(source @ position).

    Args:
        images: [N, C, H, W].
        source: affine maps [N, 3, 3] (see `affine`) of the images' dtype; not differentiated.

    Returns:
        [N, C, H, W].
    """
    height, width = images.shape[2:]
    margins = _margins(source, height, width)
    images = _upsample_height(images, *margins[1])
    images = _upsample_height(images.transpose(2, 3), *margins[0]).transpose(2, 3)
    images = bilinear(images, _positions(source, (width, height), margins))
    images = _downsample_height(images, height)
    return _downsample_height(images.transpose(2, 3), width).transpose(2, 3).contiguous()


def _margins(source: Tensor, height: int, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding in pixels that the batch's warps need: ((left, right), (top, bottom)), each less than the side.

    One mirror image per side is enough for the paper's strengths at any likely sample; beyond it there are zeros.
    """
    x, y = _centred_samples(width, source)[[0, -1]], _centred_samples(height, source)[[0, -1], None]
    corners = torch.stack([apply(source, row, x, y).flatten() for row in (0, 1)])
    reached = torch.stack([-corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    sides = ((width - 1) / 2, (height - 1) / 2)
    left_right, top_bottom = (  # tensor sizes, so this synchronises with the device
        tuple(min(max(math.ceil(reach - side), 0), round(2 * side)) for reach in pair)
        for pair, side in zip(reached.tolist(), sides, strict=True)
    )
    return left_right, top_bottom


def _centred_samples(side: int, like: Tensor) -> Tensor:
    """Positions of the samples at double rate that down-sampling reads, in pixels from the image centre."""
    samples = torch.arange(-_BORDER, 2 * side + _BORDER, device=like.device, dtype=like.dtype)
    return samples / 2 - (side - 1) / 2


def _positions(source: Tensor, sizes: tuple[int, int], margins: tuple[tuple[int, ...], ...]) -> Tensor:
    """Positions of the output's samples in the padded input, both at double rate, in `bilinear`'s coordinates.

    Args:
        sizes: width, height.
        margins: see `_margins`.
    """
    x, y = (_centred_samples(side, source) for side in sizes)
    axes = []
    for row, (side, (before, after)) in enumerate(zip(sizes, margins, strict=True)):
        pixel = apply(source, row, x, y[:, None]) + ((side - 1) / 2 + before)  # [N, h, w]
        axes.append((2 * pixel + 0.5) / (side + before + after) - 1)  # the centre of sample 2 * pixel
    return torch.stack(axes, dim=-1)


def _upsample_height(x: Tensor, before: int, after: int) -> Tensor:
    """[N, C, H, W] -> [N, C, 2 (before + H + after), W], with mirrored edges."""
    height = x.shape[2]
    padded = before + height + after
    positions = windows(-before - _REACH, BLOCK + 2 * _REACH, BLOCK, -(-padded // BLOCK), x.device)
    return filter_height(x, _upsampling(x.device, x.dtype), reflect(positions, height), 2 * padded)


def _downsample_height(x: Tensor, height: int) -> Tensor:
    """[N, C, 2 H + 2 border, W] -> [N, C, H, W]."""
    positions = windows(0, 2 * BLOCK + 2 * _BORDER, 2 * BLOCK, -(-height // BLOCK), x.device)
    return filter_height(x, _downsampling(x.device, x.dtype), positions.clamp(max=x.shape[2] - 1), height)


@lru_cache
def _upsampling(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sample j at double rate, at pixel j / 2, is 2 sum_i h[j - 2 i + 5] x[i]."""
    offset = 2 * _REACH + _BORDER
    matrix = 2 * band_matrix(SYM6, 2 * BLOCK, BLOCK + 2 * _REACH, row_step=1, column_step=-2, offset=offset)
    return matrix.to(dtype).to(device)


@lru_cache
def _downsampling(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Pixel i is sum_k h[k] y[2 i + k - 5]: the transpose of up-sampling, halved."""
    matrix = band_matrix(SYM6, BLOCK, 2 * BLOCK + 2 * _BORDER, row_step=-2, column_step=1, offset=0)
    return matrix.to(dtype).to(device)
