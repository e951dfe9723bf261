"""Bilinear sampling, differentiable to any order with respect to the image.

Sampling is linear in the image: its gradient is the transposed map, and the gradient of that map is sampling again.
PyTorch before 2.12 has no second derivative of `grid_sample`, and later versions have a slow one. The custom Functions
below replace it in eager mode.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


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
