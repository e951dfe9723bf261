"""R3GAN's discriminator (Huang et al. 2024, arXiv 2501.05441, section 3): the generator in reverse.

Read bottom-up: stage, epilogue, discriminator. There are no minibatch statistics. Golden files of kind `r3gan_` pin
logits, losses, penalties and gradients.

Letters: N batch, I O C channels, H W space.
"""

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, PerStage, Range, Taps, Width
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.layers.resample import downsample2d, fir_filter
from stylegen.layers.variance_scaling import Conv2d, initialize
from stylegen.networks.discriminator import RandomInputs, StyleDiscriminator
from stylegen.networks.generator import layer_widths
from stylegen.networks.r3gan import (
    BlockOptions,
    ResidualBlock,
    StageSizes,
    depth_of,
    odd_side,
    stage_sizes,
)
from stylegen.spec import ImageSpec


class DiscriminatorStage(nn.Module):
    """One resolution r: residual blocks, then bilinear down-sampling and a 1x1 convolution if the width changes.

    Args:
        sizes: width I, number of blocks, groups.
        out_channels: width O of the next one.
        options: see `BlockOptions`.

    Shape: [N, I, r, r] -> [N, O, r / 2, r / 2].
    """

    kernel: Tensor

    def __init__(self, sizes: StageSizes, out_channels: int, options: BlockOptions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ResidualBlock(sizes, options) for _ in range(sizes.blocks))
        self.resize = Conv2d(sizes.width, out_channels) if out_channels != sizes.width else None
        self.register_buffer("kernel", fir_filter(options.resample_taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        x = downsample2d(x, self.kernel)
        return x if self.resize is None else self.resize(x)


class DiscriminatorEpilogue(nn.Module):
    """4x4: residual blocks, one learned 4x4 weighting of each feature map, a linear layer.

    Args:
        sizes: width, number of blocks and groups at 4 px.
        out_features: 1, or the width of the label's embedding.
        options: see `BlockOptions`.

    Shape: [N, C, 4, 4] -> [N, out_features] and the weighted sums [N, C].
    """

    def __init__(self, sizes: StageSizes, out_features: int, options: BlockOptions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ResidualBlock(sizes, options) for _ in range(sizes.blocks))
        self.basis = nn.Parameter(torch.empty(sizes.width, 4, 4))
        initialize(self.basis)
        self.out = nn.Linear(sizes.width, out_features, bias=False)
        initialize(self.out.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # logits
        for layer in self.layers:
            x = layer(x)
        x = (x * self.basis).sum(dim=[2, 3])
        return self.out(x), x


class Discriminator(StyleDiscriminator):
    """Image (and label) -> logit, with projection of labels (Miyato and Koyama 2018, arXiv 1802.05637).

    With classes, the logit is the product of the image's features and E c, E from N(0, 1 / (num_classes
    embedding_dim)). Lists give one number for each resolution from 4 px up, as for the generator.

    Args:
        resolution, channels, num_classes: set by the dataset.
        embedding_dim: width of the label's embedding; null for the feature maps at 4 px.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        blocks: residual blocks of each resolution.
        cardinality: groups of the convolutions at each resolution; empty for groups of 16 channels.
        expansion: width inside a residual block, relative to its input.
        kernel_size: side of the grouped convolutions, odd.
        resample_taps: FIR filter of the down-sampling; [1, 3, 3, 1] is bilinear.

    Shape: x [N, channels, resolution, resolution] in [-1, 1], c [N, num_classes] -> logits [N, 1].

    Raises:
        UserError: an unsupported resolution, or groups that do not divide the feature maps.
    """

    name = "r3gan"

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        embedding_dim: Width | None = None,
        channel_base: ChannelBase = 24576,
        channel_max: Width = 768,
        blocks: PerStage = (2,),
        cardinality: PerStage = (),
        expansion: Annotated[int, Range(1, 64)] = 2,
        kernel_size: Annotated[int, Range(1, 15)] = 3,
        resample_taps: Taps = (1, 3, 3, 1),
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        self.num_classes, self.mbstd_group_size = num_classes, 1
        widths = layer_widths(resolution, channel_base, channel_max)
        stages = stage_sizes("discriminator", widths, blocks, cardinality, expansion)
        options = BlockOptions(expansion, odd_side("discriminator", kernel_size), depth_of(stages), resample_taps)
        self.from_rgb = Conv2d(channels, widths[resolution])
        self.blocks = nn.ModuleDict(
            {str(r): DiscriminatorStage(stages[r], widths[r // 2], options) for r in reversed(list(widths)[1:])}
        )
        features = (widths[4] if embedding_dim is None else embedding_dim) if num_classes else 1
        self.epilogue = DiscriminatorEpilogue(stages[4], features, options)
        self.embedding = None
        if num_classes:
            self.embedding = nn.Linear(num_classes, features, bias=False)
            initialize(self.embedding.weight, gain=1 / math.sqrt(features))

    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        x = self.from_rgb(x)
        for block in self.blocks.values():
            x = block(x)
        logits, features = self.epilogue(x)
        if self.embedding is not None:
            if c is None:
                raise ValueError(f"this network has {self.num_classes} classes and needs c [N, {self.num_classes}]")
            logits = (logits * self.embedding(c.to(logits.dtype))).sum(dim=1, keepdim=True)
        return DiscriminatorOutputs(logits, features)
