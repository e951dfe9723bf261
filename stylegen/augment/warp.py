"""Anti-aliased warp, applied once for all blitting and geometry (Karras et al. 2020a, arXiv 2006.06676, appendix B).

Up-sample by two with sym6, sample bilinearly, down-sample by two with the same taps. The wavelet is orthogonal, so a
translation by whole pixels is exact. At twice the sampling rate bilinear sampling blurs little and does not alias.
Images are mirrored at their edges.

Bilinear sampling is linear in the image: its gradient is the transposed map, and the gradient of that map is sampling
again. PyTorch before 2.12 has no second derivative of `grid_sample`, and later versions have a slow one. The custom
Functions below replace it in eager mode.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from stylegen.augment.affine import apply
from stylegen.augment.filters import BLOCK, SYM6, band_matrix, cached, filter_height, reflect, windows

_TAPS = len(SYM6)
_BORDER = _TAPS // 2 - 1  # samples at double rate outside the image that down-sampling reads; also the center tap
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
    Fake tensors, which predict memory, have no values: half the side, where preset=bgc has on average 0.39 at p = 0.2,
    0.55 at p = 0.5 and 0.75 at p = 1 for 32 images.
    """
    if isinstance(source, FakeTensor):
        return (width // 2,) * 2, (height // 2,) * 2
    x, y = _centered_samples(width, source)[[0, -1]], _centered_samples(height, source)[[0, -1], None]
    corners = torch.stack([apply(source, row, x, y).flatten() for row in (0, 1)])
    reached = torch.stack([-corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    sides = ((width - 1) / 2, (height - 1) / 2)
    left_right, top_bottom = (  # tensor sizes, so this synchronizes with the device
        tuple(min(max(math.ceil(reach - side), 0), round(2 * side)) for reach in pair)
        for pair, side in zip(reached.tolist(), sides, strict=True)
    )
    return left_right, top_bottom


def _centered_samples(side: int, like: Tensor) -> Tensor:
    """Positions of the samples at double rate that down-sampling reads, in pixels from the image center."""
    samples = torch.arange(-_BORDER, 2 * side + _BORDER, device=like.device, dtype=like.dtype)
    return samples / 2 - (side - 1) / 2


def _positions(source: Tensor, sizes: tuple[int, int], margins: tuple[tuple[int, ...], ...]) -> Tensor:
    """Positions of the output's samples in the padded input, both at double rate, in `bilinear`'s coordinates.

    Args:
        sizes: width, height.
        margins: see `_margins`.
    """
    x, y = (_centered_samples(side, source) for side in sizes)
    axes = []
    for row, (side, (before, after)) in enumerate(zip(sizes, margins, strict=True)):
        pixel = apply(source, row, x, y[:, None]) + ((side - 1) / 2 + before)  # [N, h, w]
        axes.append((2 * pixel + 0.5) / (side + before + after) - 1)  # the center of sample 2 * pixel
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


@cached
def _upsampling(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sample j at double rate, at pixel j / 2, is 2 sum_i h[j - 2 i + 5] x[i]."""
    offset = 2 * _REACH + _BORDER
    matrix = 2 * band_matrix(SYM6, 2 * BLOCK, BLOCK + 2 * _REACH, row_step=1, column_step=-2, offset=offset)
    return matrix.to(dtype).to(device)


@cached
def _downsampling(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Pixel i is sum_k h[k] y[2 i + k - 5]: the transpose of up-sampling, halved."""
    matrix = band_matrix(SYM6, BLOCK, 2 * BLOCK + 2 * _BORDER, row_step=-2, column_step=1, offset=0)
    return matrix.to(dtype).to(device)


def bilinear(images: Tensor, grid: Tensor) -> Tensor:
    """[N, C, H, W] at positions [N, h, w, 2] -> [N, C, h, w].

    Args:
        grid: (x, y), from -1 at the left or top edge of the image to 1 at the opposite edge; zero padding outside.
            Not differentiated.
    """
    if torch.compiler.is_compiling():  # a custom Function cannot be differentiated twice inside a compiled region
        return _sample(images, grid)
    return _Bilinear.apply(images, grid)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class _Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = images.shape[2:]
        return _sample(images, grid)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grid,) = ctx.saved_tensors
        return _Transposed.apply(grad_outputs[0], grid, ctx.size), None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        like = values.new_zeros(*values.shape[:2], *size)  # the gradient of the image uses its shape only
        backward = torch.ops.aten.grid_sampler_2d_backward
        images, _ = backward(values, like, grid, 0, 0, False, [True, False])  # bilinear, zeros
        return images

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grid,) = ctx.saved_tensors
        return _Bilinear.apply(grad_outputs[0], grid), None, None
