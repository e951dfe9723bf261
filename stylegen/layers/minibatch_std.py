"""Minibatch standard deviation (Karras et al. 2018, section 3; grouped as in StyleGAN)."""

import torch
from torch import Tensor, nn

from stylegen.errors import UserError


class MinibatchStd(nn.Module):
    """Append feature maps with the mean standard deviation of each group of images.

    Sample n belongs to group n mod M, M = N / group_size. Ranks and micro-batches take every R-th sample too, so the
    stride makes groups independent of how a batch is split.

    Args:
        group_size: images per group, at most the batch size.
        num_channels: F, the number of appended maps; the input's channels are split evenly among them.
        in_channels: C, to check the split on construction; 0 if unknown.

    Shape: [N, C, H, W] -> [N, C + F, H, W].

    Raises:
        UserError: the batch size is not a multiple of the group size, or C not a multiple of F.
    """

    def __init__(self, group_size: int = 4, num_channels: int = 1, in_channels: int = 0) -> None:
        super().__init__()
        if group_size < 1 or in_channels % num_channels:
            raise UserError(
                f"mbstd_group_size={group_size} mbstd_num_channels={num_channels}",
                rule=f"a group must have at least one image, and {in_channels} feature maps must split evenly",
                fix="Use discriminator.mbstd_num_channels=1 and discriminator.mbstd_group_size=1 or more",
            )
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        group = min(self.group_size, count)
        check_group(count, self.group_size)
        dtype = torch.promote_types(x.dtype, torch.float32)  # the variance of half-precision values underflows
        y = x.to(dtype).reshape(group, -1, self.num_channels, channels // self.num_channels, height, width)
        deviation = (y.var(dim=0, correction=0) + 1e-8).sqrt()  # [M, F, C / F, H, W]
        y = deviation.mean(dim=[2, 3, 4], keepdim=True)[:, :, 0]  # [M, F, 1, 1]
        y = y.to(x.dtype).repeat(group, 1, height, width)  # [N, F, H, W]
        return torch.cat([x, y], dim=1)


def check_group(batch_size: int, group_size: int) -> None:
    """Raise UserError unless the batch size is a multiple of `MinibatchStd`'s group size."""
    group = min(group_size, batch_size)
    if group < 1 or batch_size % group:
        raise UserError(
            f"a discriminator batch of {batch_size} images",
            rule=f"must be a multiple of discriminator.mbstd_group_size={group_size}",
            fix="Change batch_size, or set discriminator.mbstd_group_size to a divisor of it",
        )
