"""Minibatch standard deviation (Karras et al. 2018, section 3; grouped as in StyleGAN)."""

import torch
from torch import Tensor, nn

from stylegen.errors import UserError


class MinibatchStd(nn.Module):
    """Append num_channels maps that say how much the pictures of a group differ.

    Sample n belongs to group n mod M, M = N / group_size. The stride makes groups independent of how a batch is
    split over ranks and micro-batches, which take every R-th sample too.

    Args:
        group_size: pictures a group; the whole batch where it is smaller.
        num_channels: maps appended; the input's channels are split evenly among them.
        in_channels: of the input, to refuse what cannot be split before anything runs; 0 if not known.

    Shape: [N, C, H, W] -> [N, C + num_channels, H, W].

    Raises:
        UserError: the batch is no multiple of the group, or the input's channels none of `num_channels`.
    """

    def __init__(self, group_size: int = 4, num_channels: int = 1, in_channels: int = 0) -> None:
        super().__init__()
        if group_size < 1 or in_channels % num_channels:
            raise UserError(
                f"mbstd_group_size={group_size} mbstd_num_channels={num_channels}",
                rule=f"a group has at least one picture, and the {in_channels} feature maps are split evenly",
                fix="Use discriminator.mbstd_num_channels=1 and a group of 1 or more",
            )
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        group = min(self.group_size, count)
        check_group(count, self.group_size)
        dtype = torch.promote_types(x.dtype, torch.float32)  # a variance of half-precision values underflows
        y = x.to(dtype).reshape(group, -1, self.num_channels, channels // self.num_channels, height, width)
        deviation = (y.var(dim=0, correction=0) + 1e-8).sqrt()  # [M, F, C / F, H, W]
        y = deviation.mean(dim=[2, 3, 4], keepdim=True)[:, :, 0]  # [M, F, 1, 1]
        y = y.to(x.dtype).repeat(group, 1, height, width)  # [N, F, H, W]
        return torch.cat([x, y], dim=1)


def check_group(batch_size: int, group_size: int) -> None:
    """Raise UserError unless the groups of `MinibatchStd` fill the batch."""
    group = min(group_size, batch_size)
    if group < 1 or batch_size % group:
        raise UserError(
            f"a discriminator batch of {batch_size} pictures",
            rule=f"it must be a multiple of discriminator.mbstd_group_size={group_size}",
            fix="Change batch_size, or set discriminator.mbstd_group_size to a divisor of it",
        )
