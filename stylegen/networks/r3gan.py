"""R3GAN's generator (Huang et al. 2024, arXiv 2501.05441, section 3): a residual network without styles.

Read bottom-up: residual block, stage, synthesis, generator. There is no mapping network, normalization,
noise or style: the latent scales a learned basis at 4x4, and each stage doubles the resolution. Golden files of kind
`r3gan_` pin images, logits, losses, penalties and gradients.

Letters: N batch, I O C channels, H W space, D width of w.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, PerStage, Range, Taps, Width
from stylegen.errors import UserError
from stylegen.layers.resample import fir_filter, upsample2d
from stylegen.layers.synthesis_inputs import BasisInput
from stylegen.layers.variance_scaling import LRELU_GAIN, SLOPE, Conv2d, initialize
from stylegen.networks.generator import Noise, StyleGenerator, StyleSynthesis, layer_widths
from stylegen.networks.mapping import StyleMapping
from stylegen.spec import ImageSpec

GROUP_WIDTH = 16  # channels of a group, as published


@dataclass(frozen=True)
class BlockOptions:
    """Settings shared by all residual blocks.

    Attributes:
        expansion: width inside a block, relative to its input.
        kernel_size: side of the grouped convolutions.
        depth: residual blocks L of the network.
        resample_taps: FIR filter between stages.
    """

    expansion: int
    kernel_size: int
    depth: int
    resample_taps: Sequence[float]


@dataclass(frozen=True)
class StageSizes:
    """One resolution: feature maps, residual blocks, groups of the grouped convolutions (cardinality)."""

    width: int
    blocks: int
    groups: int


class ResidualBlock(nn.Module):
    """x + W3 f(W2 f(W1 x + b1) + b2): an inverted bottleneck with a grouped convolution, f the leaky ReLU.

    W1 and W3 are 1x1 convolutions, to the expanded width and back; W2 is a k x k convolution in groups. There is no
    normalization. Instead, with m = 3 linear layers, W1 and W2 begin smaller by L^(-1 / (2m - 2)), and W3 as zeros, so
    that the variance does not grow with the depth L (Zhang et al. 2019, Fixup, arXiv 1901.09321, section 3).

    Args:
        sizes: width C and groups of its stage.
        options: see `BlockOptions`.

    Shape: [N, C, H, W] -> the same.
    """

    def __init__(self, sizes: StageSizes, options: BlockOptions) -> None:
        super().__init__()
        inner, gain = sizes.width * options.expansion, LRELU_GAIN * options.depth ** (-1 / 4)
        self.expand = Conv2d(sizes.width, inner, bias=True, gain=gain)
        self.grouped = Conv2d(inner, inner, options.kernel_size, sizes.groups, bias=True, gain=gain)
        self.project = Conv2d(inner, sizes.width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.expand(x), SLOPE)
        y = F.leaky_relu(self.grouped(y), SLOPE)
        return x + self.project(y)


class SynthesisStage(nn.Module):
    """One resolution r: a 1x1 convolution if the width changes and bilinear up-sampling, then residual blocks.

    Args:
        in_channels: width of the stage before; None for the first, which does not up-sample.
        sizes: width O, number of blocks, groups.
        options: see `BlockOptions`.

    Shape: [N, I, r / 2, r / 2] -> [N, O, r, r].
    """

    kernel: Tensor

    def __init__(self, in_channels: int | None, sizes: StageSizes, options: BlockOptions) -> None:
        super().__init__()
        self.up = in_channels is not None
        self.resize = None
        if in_channels is not None and in_channels != sizes.width:
            self.resize = Conv2d(in_channels, sizes.width)
        self.layers = nn.ModuleList(ResidualBlock(sizes, options) for _ in range(sizes.blocks))
        self.register_buffer("kernel", fir_filter(options.resample_taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.resize is None else self.resize(x)
        x = upsample2d(x, self.kernel) if self.up else x
        for layer in self.layers:
            x = layer(x)
        return x


class Synthesis(StyleSynthesis):
    """w -> image: basis, a stage for each resolution, 1x1 convolution to RGB.

    Args:
        w_dim: width of w.
        img_channels: channels of the image.
        stages: sizes by resolution, ascending.
        options: see `BlockOptions`.

    Attributes:
        num_ws: 1: the latent is used once, at 4 px.
        noise_sizes: empty.
        stages: the argument.
    """

    def __init__(self, w_dim: int, img_channels: int, stages: dict[int, StageSizes], options: BlockOptions) -> None:
        super().__init__()
        self.num_ws, self.noise_sizes, self.stages = 1, [], stages
        widths: list[int | None] = [None, *(stage.width for stage in stages.values())]
        self.input = BasisInput(w_dim, stages[4].width)
        self.blocks = nn.ModuleDict(
            {
                str(r): SynthesisStage(before, sizes, options)
                for before, (r, sizes) in zip(widths, stages.items(), strict=False)
            }
        )
        self.to_rgb = Conv2d(stages[max(stages)].width, img_channels)

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """ws [N, 1, D] -> [N, C, H, W], nominally in [-1, 1]. `noise` has no effect."""
        if ws.ndim != 3 or ws.shape[1] != self.num_ws:
            raise ValueError(f"ws has shape {list(ws.shape)}; this network takes [N, {self.num_ws}, w_dim]")
        x = self.input(ws[:, 0])
        for block in self.blocks.values():
            x = block(x)
        return self.to_rgb(x.to(torch.promote_types(x.dtype, torch.float32)))


class LatentMapping(StyleMapping):
    """w = [z, E c]: the latent itself, and the label's embedding, E from N(0, 1 / num_classes).

    `w_avg` is the mean latent, so truncation scales z toward zero and the embedding toward the mean of all classes.

    Args:
        z_dim: width of z.
        num_classes: width of c; 0 for none.
        embedding_dim: width of E c.

    Shape: z [N, z_dim], c [N, num_classes] -> w [N, z_dim + embedding_dim].
    """

    def __init__(self, z_dim: int, num_classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.z_dim, self.num_classes = z_dim, num_classes
        self.w_dim = z_dim + embedding_dim * bool(num_classes)
        self.embedding = None
        if num_classes:
            self.embedding = nn.Linear(num_classes, embedding_dim, bias=False)
            initialize(self.embedding.weight)
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(self._check_labels(c).to(z.dtype))], dim=1)


class Generator(StyleGenerator):
    """z, c -> image. The defaults are the networks of FFHQ-256 and CIFAR-10 (configuration E).

    Lists give one number for each resolution from 4 px up; the last number holds for all higher ones.

    Args:
        resolution, channels, num_classes: set by the dataset.
        z_dim: width of z.
        embedding_dim: width of the label's embedding; null for z_dim.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        blocks: residual blocks of each resolution.
        cardinality: groups of the convolutions at each resolution; empty for groups of 16 channels.
        expansion: width inside a residual block, relative to its input.
        kernel_size: side of the grouped convolutions, odd.
        resample_taps: FIR filter of the up-sampling; [1, 3, 3, 1] is bilinear.

    Raises:
        UserError: an unsupported resolution, or groups that do not divide the feature maps.
    """

    name = "r3gan"

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        z_dim: Width = 64,
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
        self.resolution, self.channels, self.num_classes = resolution, channels, num_classes
        widths = layer_widths(resolution, channel_base, channel_max)
        stages = stage_sizes("generator", widths, blocks, cardinality, expansion)
        options = BlockOptions(expansion, odd_side("generator", kernel_size), depth_of(stages), resample_taps)
        self.mapping = LatentMapping(z_dim, num_classes, z_dim if embedding_dim is None else embedding_dim)
        self.z_dim, self.w_dim = z_dim, self.mapping.w_dim
        self.synthesis = Synthesis(self.w_dim, channels, stages, options)
        self.num_ws = self.synthesis.num_ws

    def forward(self, z: Tensor, c: Tensor | None = None, noise: Noise = "const") -> Tensor:
        """z [N, z_dim], c [N, num_classes] or None -> [N, channels, resolution, resolution]."""
        return self.synthesis(self.mapping(z, c).unsqueeze(1), noise)


def stage_sizes(
    network: str, widths: dict[int, int], blocks: Sequence[int], cardinality: Sequence[int], expansion: int
) -> dict[int, StageSizes]:
    """Sizes of each stage by resolution, ascending.

    Args:
        network: "generator" or "discriminator", for messages.
        widths: feature maps by resolution.
        blocks, cardinality, expansion: see `Generator`.

    Raises:
        UserError: no number of blocks, or groups that do not divide the feature maps.
    """
    if not blocks:
        raise UserError(f"{network}.blocks=[]", rule="a resolution must have at least one block", fix="Use blocks=[2]")
    found = {}
    for k, (r, width) in enumerate(widths.items()):
        inner = width * expansion
        groups = cardinality[min(k, len(cardinality) - 1)] if cardinality else max(inner // GROUP_WIDTH, 1)
        if inner % groups:
            raise UserError(
                f"{network}.cardinality={list(cardinality)} channel_max={max(widths.values())} expansion={expansion}",
                rule=f"at {r} px, {groups} groups do not divide {width} * {expansion} feature maps",
                fix=f"Use {network}.cardinality=[1], or channel_base and channel_max that are multiples of 8",
            )
        found[r] = StageSizes(width, blocks[min(k, len(blocks) - 1)], groups)
    return found


def depth_of(stages: dict[int, StageSizes]) -> int:
    """Residual blocks L of the network."""
    return sum(stage.blocks for stage in stages.values())


def odd_side(network: str, kernel_size: int) -> int:
    """The side of a kernel that keeps the size of its input. Raises UserError for an even one."""
    if kernel_size % 2 == 0:
        rule = "an even kernel would change the size of the image"
        raise UserError(f"{network}.kernel_size={kernel_size}", rule=rule, fix=f"Use {network}.kernel_size=3")
    return kernel_size
