"""Self-attention over the pixels of feature maps (SAGAN: Zhang et al. 2019, arXiv 1805.08318), as in the authors' code.

The paper's figure 2 has neither the pooling nor C / 2 channels of g.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegen.layers.equalized import EqualizedConv2d


class SelfAttention(nn.Module):
    """y_i = x_i + gamma * W_o sum_j softmax_j(theta_i . phi_j) g_j, with i over pixels and j over 2x2 blocks.

    theta, phi and g are 1x1 convolutions without bias to C / 8, C / 8 and C / 2 channels; phi and g are max-pooled over
    2x2 pixels. The products are not divided by the root of their width. gamma starts at 0, with which y = x.

    Args:
        channels: C.

    Shape: [N, C, H, W] -> [N, C, H, W], H and W even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        keys, values = max(channels // 8, 1), max(channels // 2, 1)
        self.theta = EqualizedConv2d(channels, keys, 1, bias=False)
        self.phi = EqualizedConv2d(channels, keys, 1, bias=False)
        self.g = EqualizedConv2d(channels, values, 1, bias=False)
        self.out = EqualizedConv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision overflows in sums over channels
        theta = self.theta(y).flatten(2)  # [N, C / 8, HW]
        phi = F.max_pool2d(self.phi(y), 2).flatten(2)  # [N, C / 8, HW / 4]
        g = F.max_pool2d(self.g(y), 2).flatten(2)  # [N, C / 2, HW / 4]
        weights = (theta.transpose(1, 2) @ phi).softmax(dim=2)  # [N, HW, HW / 4]
        mixed = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])  # [N, C / 2, H, W]
        return x + (self.gamma * self.out(mixed)).to(x.dtype)
