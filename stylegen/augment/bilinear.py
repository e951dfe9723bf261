"""Bilinear look-up, differentiable to any order with respect to the picture.

The look-up is linear in the picture, so its gradient is the transposed map and the gradient of that is the look-up
again. PyTorch derives `grid_sample` a second time only from 2.12 on, and slowly; in eager mode, where a custom
Function is allowed, these two serve every version.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def bilinear(images: Tensor, grid: Tensor) -> Tensor:
    """[N, C, H, W] at positions [N, h, w, 2] -> [N, C, h, w].

    Args:
        grid: (x, y), from -1 at the picture's left or upper edge to 1 at the opposite edge; 0 is read outside.
            Nothing is differentiated with respect to it.
    """
    if torch.compiler.is_compiling():  # a custom Function cannot be differentiated twice inside a compiled region
        return _look_up(images, grid)
    return _Bilinear.apply(images, grid)


def _look_up(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class _Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = images.shape[2:]
        return _look_up(images, grid)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grid,) = ctx.saved_tensors
        return _Transposed.apply(grad_outputs[0], grid, ctx.size), None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        like = values.new_zeros(*values.shape[:2], *size)  # only its shape counts for the gradient of the picture
        backward = torch.ops.aten.grid_sampler_2d_backward
        pictures, _ = backward(values, like, grid, 0, 0, False, [True, False])  # bilinear, zeros
        return pictures

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grid,) = ctx.saved_tensors
        return _Bilinear.apply(grad_outputs[0], grid), None, None
