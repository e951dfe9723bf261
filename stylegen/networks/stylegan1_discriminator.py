"""The progressive discriminator of StyleGAN (Karras et al. 2018, arXiv 1710.10196, table 2 and figure 2; blurred as in
Karras et al. 2019, arXiv 1812.04948; labels as in Mescheder et al. 2018, arXiv 1801.04406).

Read bottom-up: block, epilogue, discriminator. It begins at the resolution of the picture that it is given. Golden
files of kind `stylegan1_` pin logits, losses, gradients and R1 at every level of detail.

Letters: N batch, I O channels, H W space.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Count, Range, Resolution, Taps, Width
from stylegen.layers.activation import bias_act
from stylegen.layers.blur import Blur
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.minibatch_std import MinibatchStd
from stylegen.layers.scaled_conv import ScaledConv2d, box_downsample
from stylegen.networks.generator import Level, check_level, layer_width
from stylegen.spec import ImageSpec


class FromRGB(EqualizedConv2d):
    """Where a resolution takes pictures in: 1x1 convolution and leaky ReLU, [N, C, H, W] -> [N, I, H, W]."""

    def __init__(self, img_channels: int, out_channels: int) -> None:
        super().__init__(img_channels, out_channels, 1, activation="lrelu", gain_in_weights=True)

    def enter(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> Tensor:
        """Features x from the resolution above, a picture, or both in a fade: alpha parts x, the rest the picture."""
        if rgb is None:
            assert x is not None
            return x
        y = self(rgb)
        return y if x is None else torch.lerp(y, x, alpha)


class DiscriminatorBlock(nn.Module):
    """One resolution: two 3x3 convolutions; the second, blurred before, halves it."""

    def __init__(
        self, in_channels: int, out_channels: int, img_channels: int, blur_taps: Sequence[float], fused: bool
    ) -> None:
        super().__init__()
        self.from_rgb = FromRGB(img_channels, in_channels)
        self.conv0 = EqualizedConv2d(in_channels, in_channels, 3, activation="lrelu", gain_in_weights=True)
        self.blur = Blur(blur_taps)
        self.conv1 = ScaledConv2d(in_channels, out_channels, down=2, fused=fused)
        self.bias1 = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> Tensor:
        """x [N, I, H, W], rgb [N, C, H, W], see `FromRGB.enter` -> [N, O, H/2, W/2]."""
        x = self.conv0(self.from_rgb.enter(x, rgb, alpha))
        x = self.conv1(self.blur(x))
        return bias_act(x, self.bias1, "lrelu", gain=1.0)  # the convolution has its gain already


class DiscriminatorEpilogue(nn.Module):
    """4x4: minibatch standard deviation, convolution, two linear layers -> [N, out_features]."""

    def __init__(
        self,
        in_channels: int,
        img_channels: int,
        out_features: int,
        mbstd_group_size: int,
        mbstd_num_channels: int,
    ) -> None:
        super().__init__()
        self.from_rgb = FromRGB(img_channels, in_channels)
        self.mbstd: nn.Module = nn.Identity()
        if mbstd_num_channels:
            self.mbstd = MinibatchStd(mbstd_group_size, mbstd_num_channels, in_channels)
        width = in_channels + mbstd_num_channels
        self.conv = EqualizedConv2d(width, in_channels, 3, activation="lrelu", gain_in_weights=True)
        self.fc = EqualizedLinear(in_channels * 16, in_channels, "lrelu", gain_in_weights=True)
        self.out = EqualizedLinear(in_channels, out_features)

    def forward(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> Tensor:
        # Logits and minibatch statistics: at least float32.
        x, rgb = (v if v is None else v.to(torch.promote_types(v.dtype, torch.float32)) for v in (x, rgb))
        x = self.from_rgb.enter(x, rgb, alpha)
        x = self.conv(self.mbstd(x))
        return self.out(self.fc(x.flatten(1)))


class Discriminator(nn.Module):
    """Picture (and label) -> logit; with labels, each class has a logit of its own.

    Args:
        resolution, channels, num_classes: given by the dataset.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        mbstd_group_size, mbstd_num_channels: see `MinibatchStd`; 0 channels leaves it out.
        blur_taps: filter before down-sampling convolutions; [1] for none (ProGAN).
        fused_from: from this resolution on, down-sampling is part of the convolution; None for nowhere.

    Shape: x [N, channels, r, r] in [-1, 1] with r one of `resolutions`, c [N, num_classes] -> logits [N, 1].

    Attributes:
        resolutions: sides of the pictures that it takes, rising.
        level: where it stands; decides alpha for pictures of the level's resolution.
    """

    name = "stylegan1"

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        channel_base: ChannelBase = 16384,
        channel_max: Width = 512,
        mbstd_group_size: Count = 4,
        mbstd_num_channels: Annotated[int, Range(0, 512)] = 1,
        blur_taps: Taps = (1, 2, 1),
        fused_from: Resolution | None = 128,
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        self.num_classes, self.mbstd_group_size = num_classes, mbstd_group_size
        self.resolutions = [2**i for i in range(2, resolution.bit_length())]
        widths = {r: layer_width(r, channel_base, channel_max) for r in self.resolutions}
        self.blocks = nn.ModuleDict(
            {
                str(r): DiscriminatorBlock(
                    *(widths[r], widths[r // 2], channels, blur_taps),
                    fused=fused_from is not None and r >= fused_from,
                )
                for r in reversed(self.resolutions[1:])
            }
        )
        self.epilogue = DiscriminatorEpilogue(
            *(widths[4], channels, max(num_classes, 1), mbstd_group_size, mbstd_num_channels)
        )
        self.level = Level(resolution)

    def set_level(self, resolution: int, alpha: float = 1.0) -> None:
        """Stand there from now on. Raises UserError for a level that the network does not have."""
        self.level = check_level(Level(resolution, alpha), self.resolutions)

    def forward(self, x: Tensor, c: Tensor | None = None, alpha: float | None = None) -> Tensor:
        """Judge pictures at their own resolution.

        Args:
            alpha: how far that resolution has faded in; None takes the level's there, and 1 at any other resolution.

        Raises:
            UserError: a resolution or alpha outside the network.
        """
        side = x.shape[-1]
        if alpha is None:
            alpha = self.level.alpha if side == self.level.resolution else 1.0
        check_level(Level(side, alpha), self.resolutions)
        # Which picture enters where: the given one at its own resolution, in a fade its half at the next lower one too.
        entering: dict[int, Tensor] = {side: x}
        if alpha < 1:
            entering[side // 2] = box_downsample(x)
        features: Tensor | None = None
        for r in reversed([r for r in self.resolutions if 4 < r <= side]):
            features = self.blocks[str(r)](features, entering.get(r), alpha)
        logits = self.epilogue(features, entering.get(4), alpha)
        if self.num_classes == 0:
            return logits
        if c is None:
            raise ValueError(f"this network has {self.num_classes} classes and needs c [N, {self.num_classes}]")
        return (logits * c.to(logits.dtype)).sum(dim=1, keepdim=True)
