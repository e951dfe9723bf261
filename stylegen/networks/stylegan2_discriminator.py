"""StyleGAN2 discriminator (Karras et al. 2020b, arXiv 1912.04958, figure 7; labels as in the ADA paper, 2006.06676).

Read bottom-up: block, epilogue, discriminator. The published default is `resnet`. Golden files of kind `stylegan2_` pin
logits, losses, gradients and R1.

Letters: N batch, I O C channels, H W space.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Clamp, Count, Depth, DropoutRates, Range, Resolution, Taps, Width
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.layers.activation import get_activation
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.minibatch_std import MinibatchStd
from stylegen.layers.resample import downsample2d, fir_filter
from stylegen.networks.discriminator import RandomInputs
from stylegen.networks.discriminator_heads import DiscriminatorOptions, OptionedDiscriminator
from stylegen.networks.generator import layer_widths
from stylegen.networks.mapping import Mapping
from stylegen.networks.stylegan2 import check_architecture
from stylegen.spec import ImageSpec


@dataclass(frozen=True)
class LayerOptions:
    """Settings shared by all blocks; see `Discriminator`."""

    img_channels: int
    mbstd_group_size: int
    mbstd_num_channels: int
    architecture: str
    activation: str
    conv_clamp: float | None
    resample_taps: Sequence[float]


class DiscriminatorBlock(nn.Module):
    """One resolution: two 3x3 convolutions, the second down-sampling (figure 7).

    Args:
        in_channels, out_channels: widths I, O.
        is_first: the first block always reads the image, the others only with `skip`.
        options: see `LayerOptions`.
    """

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int, is_first: bool, options: LayerOptions) -> None:
        super().__init__()
        activation, conv_clamp, taps = options.activation, options.conv_clamp, options.resample_taps
        self.architecture = options.architecture
        self.from_rgb = self.skip = None
        if is_first or options.architecture == "skip":
            self.from_rgb = EqualizedConv2d(
                options.img_channels, in_channels, 1, activation=activation, conv_clamp=conv_clamp
            )
        self.conv0 = EqualizedConv2d(in_channels, in_channels, 3, activation=activation, conv_clamp=conv_clamp)
        self.conv1 = EqualizedConv2d(
            in_channels, out_channels, 3, activation=activation, down=2, conv_clamp=conv_clamp, resample_taps=taps
        )
        if options.architecture == "resnet":
            self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False, down=2, resample_taps=taps)
        self.register_buffer("kernel", fir_filter(taps), persistent=False)

    def forward(self, x: Tensor | None, rgb: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """x [N, I, H, W] and the image at this resolution -> x [N, O, H/2, W/2], image for the next block."""
        if self.from_rgb is not None and rgb is not None:
            y = self.from_rgb(rgb)
            x = y if x is None else x + y
            rgb = downsample2d(rgb, self.kernel) if self.architecture == "skip" else None
        assert x is not None
        if self.skip is None:
            return self.conv1(self.conv0(x)), rgb
        shortcut = self.skip(x, gain=math.sqrt(0.5))
        return shortcut + self.conv1(self.conv0(x), gain=math.sqrt(0.5)), rgb


class DiscriminatorEpilogue(nn.Module):
    """4x4: minibatch standard deviation, convolution, two linear layers -> [N, out_features] and features [N, I].

    Args:
        in_channels, out_features: widths; without the last linear layer, the output is None, if `out_features` is 0.
        options: see `LayerOptions`.
    """

    def __init__(self, in_channels: int, out_features: int, options: LayerOptions) -> None:
        super().__init__()
        activation = options.activation
        self.from_rgb = None
        if options.architecture == "skip":
            self.from_rgb = EqualizedConv2d(options.img_channels, in_channels, 1, activation=activation)
        self.mbstd: nn.Module = nn.Identity()
        if options.mbstd_num_channels:
            self.mbstd = MinibatchStd(options.mbstd_group_size, options.mbstd_num_channels, in_channels)
        width = in_channels + options.mbstd_num_channels
        self.conv = EqualizedConv2d(width, in_channels, 3, activation=activation, conv_clamp=options.conv_clamp)
        self.fc = EqualizedLinear(in_channels * 16, in_channels, activation=activation)
        self.out = EqualizedLinear(in_channels, out_features) if out_features else None

    def forward(self, x: Tensor, rgb: Tensor | None) -> tuple[Tensor | None, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # logits and minibatch statistics
        if self.from_rgb is not None:
            x = x + self.from_rgb(rgb)
        x = self.conv(self.mbstd(x))
        x = self.fc(x.flatten(1))
        return None if self.out is None else self.out(x), x


class Discriminator(OptionedDiscriminator):
    """Image (and label) -> logit, with projection of labels (Miyato and Koyama 2018, arXiv 1802.05637).

    Args:
        resolution, channels, num_classes: set by the dataset.
        architecture: "resnet", "skip" or "orig" (figure 7).
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        mbstd_group_size: images per group of the minibatch standard deviation.
        mbstd_num_channels: feature maps that it appends; 0 for none.
        mapping_layers: fully connected layers of the label's mapping network; 0 for the normalized embedding.
        activation: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus or swish.
        conv_clamp: limit on magnitudes, 256 in the published half-precision settings; null for no limit.
        resample_taps: FIR filter of the down-sampling.
        head: last layers: scalar, projection, classes, classes_plus_fake, autoencoder or bottleneck, see
            docs/losses.md; auto for the published ones, with a projection of labels if
            there are labels.
        head_dim: width of the code of head=autoencoder and head=bottleneck.
        dropout: rates after the last blocks, as [0.2,0.5,0.5] of CT-GAN (arXiv 1803.01541), in training only.
        attention_resolution: resolution of the block outputs that self-attention follows (SAGAN has 32); null for none.

    Shape: x [N, channels, resolution, resolution] in [-1, 1], c [N, num_classes] -> logits [N, 1].
    """

    name = "stylegan2"

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        architecture: str = "resnet",
        channel_base: ChannelBase = 32768,
        channel_max: Width = 512,
        mbstd_group_size: Count = 4,
        mbstd_num_channels: Annotated[int, Range(0, 512)] = 1,
        mapping_layers: Depth = 8,
        activation: str = "lrelu",
        conv_clamp: Clamp | None = None,
        resample_taps: Taps = (1, 3, 3, 1),
        head: str = "auto",
        head_dim: Width = 256,
        dropout: DropoutRates = (),
        attention_resolution: Resolution | None = None,
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        check_architecture("discriminator.architecture", architecture)
        get_activation(activation)
        self.num_classes, self.mbstd_group_size = num_classes, mbstd_group_size
        options = LayerOptions(
            img_channels=channels,
            mbstd_group_size=mbstd_group_size,
            mbstd_num_channels=mbstd_num_channels,
            architecture=architecture,
            activation=activation,
            conv_clamp=conv_clamp,
            resample_taps=resample_taps,
        )
        widths = layer_widths(resolution, channel_base, channel_max)
        self.blocks = nn.ModuleDict(
            {
                str(r): DiscriminatorBlock(
                    in_channels=widths[r], out_channels=widths[r // 2], is_first=r == resolution, options=options
                )
                for r in reversed(list(widths)[1:])
            }
        )
        self.mapping = None
        if num_classes and head == "auto":
            self.mapping = Mapping(z_dim=0, num_classes=num_classes, w_dim=widths[4], num_layers=mapping_layers)
        logits = (widths[4] if num_classes else 1) if head == "auto" else 0
        self.epilogue = DiscriminatorEpilogue(widths[4], logits, options)
        further = DiscriminatorOptions(
            head=head, head_dim=head_dim, dropout=dropout, attention_resolution=attention_resolution
        )
        self.add_options(widths, channels, further)

    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        rgb: Tensor | None = x
        y: Tensor | None = None
        for block in self.blocks.values():
            y, rgb = block(y, rgb)
            y = self.after_block(y, random)
        assert y is not None
        logits, features = self.epilogue(y, rgb)
        if self.head is not None:
            return self.head(features, x, c, random)
        if self.mapping is not None:
            label = self.mapping(None, c)
            logits = (logits * label).sum(dim=1, keepdim=True) / math.sqrt(label.shape[1])
        return DiscriminatorOutputs(logits, features)
