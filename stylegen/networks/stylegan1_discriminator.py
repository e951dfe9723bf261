"""StyleGAN discriminator, grown progressively (Karras et al. 2018, arXiv 1710.10196, table 2 and figure 2; blur as in
Karras et al. 2019, arXiv 1812.04948; labels as in Mescheder et al. 2018, arXiv 1801.04406).

Read bottom-up: RGB layer, block, epilogue, discriminator. It starts at the resolution of its input. Golden files of
kind `stylegan1_` pin logits, losses, gradients and R1 at every level of detail.

Letters: N batch, I O C channels, H W space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Count, DropoutRates, Range, Resolution, Taps, Width
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.layers.activation import bias_act
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.minibatch_std import MinibatchStd
from stylegen.layers.scaled_conv import Blur, ScaledConv2d, box_downsample
from stylegen.networks.discriminator import RandomInputs
from stylegen.networks.discriminator_heads import DiscriminatorOptions, OptionedDiscriminator
from stylegen.networks.generator import Level, check_level, layer_widths
from stylegen.spec import ImageSpec


@dataclass(frozen=True)
class LayerOptions:
    """Settings shared by all blocks; see `Discriminator`."""

    img_channels: int
    mbstd_group_size: int
    mbstd_num_channels: int
    blur_taps: Sequence[float]
    fused_from: int | None

    def fused(self, resolution: int) -> bool:
        """Whether down-sampling from `resolution` is part of the convolution."""
        return self.fused_from is not None and resolution >= self.fused_from


class FromRGB(EqualizedConv2d):
    """1x1 convolution and leaky ReLU: image [N, C, H, W] -> features [N, O, H, W]."""

    def __init__(self, img_channels: int, out_channels: int) -> None:
        super().__init__(img_channels, out_channels, 1, activation="lrelu", gain_in_weights=True)

    def blend(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> Tensor:
        """alpha * x + (1 - alpha) * from_rgb(rgb); x or from_rgb(rgb) alone if the other is None."""
        if rgb is None:
            assert x is not None
            return x
        y = self(rgb)
        return y if x is None else torch.lerp(y, x, alpha)


class DiscriminatorBlock(nn.Module):
    """One resolution: two 3x3 convolutions, the second after a blur and with stride 2.

    Args:
        resolution: side of the input in pixels.
        in_channels, out_channels: widths I, O.
        options: see `LayerOptions`.
    """

    def __init__(self, resolution: int, in_channels: int, out_channels: int, options: LayerOptions) -> None:
        super().__init__()
        self.from_rgb = FromRGB(options.img_channels, in_channels)
        self.conv0 = EqualizedConv2d(in_channels, in_channels, 3, activation="lrelu", gain_in_weights=True)
        self.blur = Blur(options.blur_taps)
        self.conv1 = ScaledConv2d(in_channels, out_channels, down=2, fused=options.fused(resolution))
        self.bias1 = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> Tensor:
        """x [N, I, H, W], rgb [N, C, H, W], see `FromRGB.blend` -> [N, O, H/2, W/2]."""
        x = self.conv0(self.from_rgb.blend(x, rgb, alpha))
        x = self.conv1(self.blur(x))
        return bias_act(x, self.bias1, "lrelu", gain=1.0)  # the convolution's weights include the gain


class DiscriminatorEpilogue(nn.Module):
    """4x4: minibatch standard deviation, convolution, two linear layers -> [N, out_features] and features [N, I].

    Args:
        in_channels, out_features: widths; without the last linear layer, the output is None, if `out_features` is 0.
        options: see `LayerOptions`.
    """

    def __init__(self, in_channels: int, out_features: int, options: LayerOptions) -> None:
        super().__init__()
        self.from_rgb = FromRGB(options.img_channels, in_channels)
        self.mbstd: nn.Module = nn.Identity()
        if options.mbstd_num_channels:
            self.mbstd = MinibatchStd(options.mbstd_group_size, options.mbstd_num_channels, in_channels)
        width = in_channels + options.mbstd_num_channels
        self.conv = EqualizedConv2d(width, in_channels, 3, activation="lrelu", gain_in_weights=True)
        self.fc = EqualizedLinear(in_channels * 16, in_channels, activation="lrelu", gain_in_weights=True)
        self.out = EqualizedLinear(in_channels, out_features) if out_features else None

    def forward(self, x: Tensor | None, rgb: Tensor | None, alpha: float) -> tuple[Tensor | None, Tensor]:
        # Logits and minibatch statistics: at least float32.
        x, rgb = (v if v is None else v.to(torch.promote_types(v.dtype, torch.float32)) for v in (x, rgb))
        x = self.from_rgb.blend(x, rgb, alpha)
        x = self.conv(self.mbstd(x))
        x = self.fc(x.flatten(1))
        return None if self.out is None else self.out(x), x


class Discriminator(OptionedDiscriminator):
    """Image (and label) -> logit; with labels, one logit per class, selected by the label.

    Args:
        resolution, channels, num_classes: set by the dataset.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        mbstd_group_size: images per group of the minibatch standard deviation.
        mbstd_num_channels: feature maps that it appends; 0 for none.
        blur_taps: filter before down-sampling convolutions; [1] for none (ProGAN).
        fused_from: lowest resolution with down-sampling fused into the convolution; null for none.
        head: last layers: scalar, projection, classes, classes_plus_fake, autoencoder or bottleneck, see
            docs/losses.md; auto for the published ones.
        head_dim: width of the code of head=autoencoder and head=bottleneck.
        dropout: rates after the last blocks, as [0.2,0.5,0.5] of CT-GAN (arXiv 1803.01541), in training only.
        attention_resolution: resolution of the block outputs that self-attention follows (SAGAN has 32); null for none.

    Shape: x [N, channels, r, r] in [-1, 1] with r one of `resolutions`, c [N, num_classes] -> logits [N, 1].

    Attributes:
        resolutions: accepted resolutions, ascending.
        level: the current resolution and alpha; alpha applies to images of that resolution.
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
        head: str = "auto",
        head_dim: Width = 256,
        dropout: DropoutRates = (),
        attention_resolution: Resolution | None = None,
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        self.num_classes, self.mbstd_group_size = num_classes, mbstd_group_size
        options = LayerOptions(
            img_channels=channels,
            mbstd_group_size=mbstd_group_size,
            mbstd_num_channels=mbstd_num_channels,
            blur_taps=blur_taps,
            fused_from=fused_from,
        )
        widths = layer_widths(resolution, channel_base, channel_max)
        self.resolutions = list(widths)
        self.blocks = nn.ModuleDict(
            {
                str(r): DiscriminatorBlock(
                    resolution=r, in_channels=widths[r], out_channels=widths[r // 2], options=options
                )
                for r in reversed(self.resolutions[1:])
            }
        )
        self.epilogue = DiscriminatorEpilogue(widths[4], max(num_classes, 1) if head == "auto" else 0, options)
        further = DiscriminatorOptions(
            head=head, head_dim=head_dim, dropout=dropout, attention_resolution=attention_resolution
        )
        self.add_options(widths, channels, further)
        self.level = Level(resolution)

    def set_level(self, resolution: int, alpha: float = 1.0) -> None:
        """Set the current resolution and alpha. Raises UserError for a level outside the network."""
        self.level = check_level(Level(resolution, alpha), self.resolutions)

    def outputs(
        self,
        x: Tensor,
        c: Tensor | None = None,
        random: RandomInputs | None = None,
        alpha: float | None = None,
    ) -> DiscriminatorOutputs:
        """Outputs for images at any of `resolutions`.

        Args:
            alpha: weight of that resolution in a fade; None for the current level's, and 1 at other resolutions.

        Raises:
            UserError: a resolution or alpha outside the network.
        """
        side = x.shape[-1]
        if alpha is None:
            alpha = self.level.alpha if side == self.level.resolution else 1.0
        check_level(Level(side, alpha), self.resolutions)
        # Input images by resolution; a fade also needs the next lower one.
        images: dict[int, Tensor] = {side: x}
        if alpha < 1:
            images[side // 2] = box_downsample(x)
        y: Tensor | None = None
        for r in reversed([r for r in self.resolutions if 4 < r <= side]):
            y = self.after_block(self.blocks[str(r)](y, images.get(r), alpha), random)
        logits, features = self.epilogue(y, images.get(4), alpha)
        if self.head is not None:
            return self.head(features, x, c, random)
        if self.num_classes:
            if c is None:
                raise ValueError(f"this network has {self.num_classes} classes and needs c [N, {self.num_classes}]")
            logits = (logits * c.to(logits.dtype)).sum(dim=1, keepdim=True)
        return DiscriminatorOutputs(logits, features)

    def forward(self, x: Tensor, c: Tensor | None = None, alpha: float | None = None) -> Tensor:
        """Logits [N, 1]; see `outputs`."""
        return self.outputs(x, c, alpha=alpha).logits
