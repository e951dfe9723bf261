"""The one anti-aliased warp of all blitting and geometry (Karras et al. 2020a, arXiv 2006.06676, appendix B).

Up-sample by two with sym6, look up bilinearly, down-sample by two with the same taps. The wavelet is orthogonal, so
a warp by whole pixels is exact; at twice the sampling rate bilinear look-up blurs little and folds nothing back.
Beyond its edges a picture is mirrored.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from stylegen.augment.bilinear import bilinear
from stylegen.augment.blocks import BLOCK, band_matrix, filter_height, reflect, windows
from stylegen.augment.wavelets import SYM6

_TAPS = len(SYM6)
_REACH = _TAPS // 4  # pixels beyond a block that up-sampling reads on each side
_BORDER = (_TAPS - 2) // 2  # samples at double rate beyond the picture that down-sampling reads on each side


def warp(images: Tensor, source: Tensor) -> Tensor:
    """Show at every position of the output what the input has at `source` of it.

    Args:
        images: [N, C, H, W].
        source: [N, 3, 3], see `affine`; nothing is differentiated with respect to it.

    Returns:
        [N, C, H, W].
    """
    height, width = images.shape[2:]
    (left, right), (top, bottom) = _margins(source, height, width)
    images = _upsample_height(images, top, bottom)
    images = _upsample_height(images.transpose(2, 3), left, right).transpose(2, 3)
    images = bilinear(images, _positions(source, height, width, (left, right), (top, bottom)).to(images.dtype))
    images = _downsample_height(images, height)
    return _downsample_height(images.transpose(2, 3), width).transpose(2, 3).contiguous()


def _margins(source: Tensor, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels by which the batch's warps leave their pictures: ((left, right), (top, bottom)), below the side each.

    A position needs the samples within half a pixel of it. More than one mirror image a side is never needed at the
    strengths of the paper; beyond it there would be zeros.
    """
    x, y = (side / 2 + _BORDER / 2 for side in (width, height))
    corners = torch.tensor([[-x, x, -x, x], [-y, -y, y, y], [1.0] * 4], device=source.device, dtype=source.dtype)
    reached = (source @ corners)[:, :2]  # [N, 2, 4]
    low, high = (-reached).amax(dim=(0, 2)), reached.amax(dim=(0, 2))
    x_low, y_low, x_high, y_high = torch.cat([low, high]).tolist()  # sizes of what follows: the host must know them

    def pixels(reach: float, side: int) -> int:
        return min(max(math.ceil(reach - side / 2 + 0.5), 0), side - 1)

    return (pixels(x_low, width), pixels(x_high, width)), (pixels(y_low, height), pixels(y_high, height))


def _positions(
    source: Tensor, height: int, width: int, x_margins: tuple[int, int], y_margins: tuple[int, int]
) -> Tensor:
    """Where the samples of the output at double rate lie in the padded picture, as `bilinear` wants it."""

    def centres(side: int) -> Tensor:
        samples = torch.arange(-_BORDER, 2 * side + _BORDER, device=source.device, dtype=source.dtype)
        return (samples + 0.5) / 2 - side / 2

    x, y = centres(width), centres(height)
    axes = []
    for row, side, (before, after) in ((0, width, x_margins), (1, height, y_margins)):
        along = source[:, row, 0, None, None] * x + source[:, row, 1, None, None] * y[:, None]
        position = along + source[:, row, 2, None, None] + (side / 2 + before)  # from the padded picture's edge
        axes.append(position * (2 / (side + before + after)) - 1)
    return torch.stack(axes, dim=-1)


def _upsample_height(x: Tensor, before: int, after: int) -> Tensor:
    """[N, C, H, W] -> [N, C, 2 (before + H + after), W], mirrored beyond the edges."""
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
    """Sample j at double rate is 2 sum_i h[j - 2 i + 5] x[i]."""
    offset = 2 * _REACH + _BORDER
    matrix = 2 * band_matrix(SYM6, 2 * BLOCK, BLOCK + 2 * _REACH, row_step=1, column_step=-2, offset=offset)
    return matrix.to(dtype).to(device)


@lru_cache
def _downsampling(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Pixel i is sum_k h[k] y[2 i + k - 5]: the transpose of up-sampling, halved."""
    matrix = band_matrix(SYM6, BLOCK, 2 * BLOCK + 2 * _BORDER, row_step=-2, column_step=1, offset=0)
    return matrix.to(dtype).to(device)
