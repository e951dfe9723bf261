"""StyleGAN2 generator (Karras et al. 2020b, arXiv 1912.04958), configured as in the ADA paper (arXiv 2006.06676).

Read bottom-up: layer, RGB layer, block, synthesis, generator. Figure 2 shows a synthesis block, figure 7 the three
architectures: `orig` is a feed-forward chain, `skip` (the default here) sums RGB images over resolutions, `resnet`
adds residual connections. Golden files of kind `stylegan2_` pin outputs, losses, gradients and training steps.

Letters: N batch, I O C channels, H W space, L style slots, D width of w.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Clamp, Depth, RateFactor, Taps, Width
from stylegen.errors import unknown_choice
from stylegen.layers.activation import bias_act, get_activation
from stylegen.layers.equalized import EqualizedConv2d, EqualizedLinear
from stylegen.layers.modulated_conv import modulated_conv2d
from stylegen.layers.resample import fir_filter, upsample2d
from stylegen.networks.generator import Noise, StyleGenerator, StyleSynthesis, layer_widths
from stylegen.networks.mapping import Mapping
from stylegen.spec import ImageSpec

ARCHITECTURES = ("orig", "skip", "resnet")


def check_architecture(setting: str, value: str) -> None:
    """Raise UserError unless `value` is one of `ARCHITECTURES`."""
    if value not in ARCHITECTURES:
        raise unknown_choice(setting, value, ARCHITECTURES)


@dataclass(frozen=True)
class LayerOptions:
    """Settings shared by all layers of a synthesis network; see `Generator`."""

    img_channels: int
    architecture: str
    w_dim: int
    use_noise: bool
    activation: str
    conv_clamp: float | None
    resample_taps: Sequence[float]


class StyledConv(nn.Module):
    """Affine style, modulated 3x3 convolution, noise, bias, activation (figure 2c).

    Args:
        resolution: side of the output in pixels.
        in_channels, out_channels: widths I, O.
        up: 1 or 2.
        options: see `LayerOptions`.

    Shape: x [N, I, H / up, W / up], w [N, D], noise "const", "none" or [N, 1, H, W] -> [N, O, H, W].
    """

    kernel: Tensor
    noise_const: Tensor

    def __init__(self, resolution: int, in_channels: int, out_channels: int, up: int, options: LayerOptions) -> None:
        super().__init__()
        self.up, self.activation, self.conv_clamp = up, options.activation, options.conv_clamp
        self.affine = EqualizedLinear(options.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(())) if options.use_noise else None
        if options.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("kernel", fir_filter(options.resample_taps), persistent=False)

    def forward(self, x: Tensor, w: Tensor, noise: str | Tensor, gain: float = 1.0) -> Tensor:
        entry = get_activation(self.activation)
        total = entry.gain * gain
        # With a homogeneous activation the gain is applied before it, to small tensors only.
        before, after = (total, 1.0) if entry.homogeneous else (1.0, total)
        scaled_noise = self._scaled_noise(noise, before)
        x = modulated_conv2d(x, self.weight, self.affine(w), self.kernel, up=self.up, gain=before, noise=scaled_noise)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, self.bias * before, self.activation, gain=after, clamp=clamp)

    def _scaled_noise(self, noise: str | Tensor, gain: float) -> Tensor | None:
        if self.noise_strength is None or (isinstance(noise, str) and noise == "none"):
            return None
        values = self.noise_const[None, None] if isinstance(noise, str) else noise
        return values * (self.noise_strength * gain)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: x [N, I, H, W], w [N, D] -> image [N, C, H, W]."""

    def __init__(self, in_channels: int, options: LayerOptions) -> None:
        super().__init__()
        self.conv_clamp = options.conv_clamp
        self.affine = EqualizedLinear(options.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(options.img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(options.img_channels))
        self.weight_gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        y = modulated_conv2d(x, self.weight, styles, demodulate=False)
        return bias_act(y, self.bias, clamp=self.conv_clamp)


class SynthesisBlock(nn.Module):
    """One resolution: two styled convolutions (one at 4x4, after the learned constant) and an RGB layer.

    Args:
        resolution: side of the output in pixels.
        in_channels: channels of the previous block; 0 for the 4x4 block, which owns the constant.
        out_channels: width O.
        is_last: the last block always has an RGB layer, the others only with `skip`.
        options: see `LayerOptions`.
    """

    kernel: Tensor

    def __init__(
        self, resolution: int, in_channels: int, out_channels: int, is_last: bool, options: LayerOptions
    ) -> None:
        super().__init__()
        self.const: nn.Parameter | None = None
        self.conv0 = self.skip = self.to_rgb = None
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = StyledConv(resolution, in_channels, out_channels, up=2, options=options)
            if options.architecture == "resnet":
                self.skip = EqualizedConv2d(
                    in_channels, out_channels, 1, bias=False, up=2, resample_taps=options.resample_taps
                )
        self.conv1 = StyledConv(resolution, out_channels, out_channels, up=1, options=options)
        if is_last or options.architecture == "skip":
            self.to_rgb = ToRGB(out_channels, options)
        self.num_convs = 1 if in_channels == 0 else 2
        self.register_buffer("kernel", fir_filter(options.resample_taps), persistent=False)

    def forward(
        self, x: Tensor | None, rgb: Tensor | None, ws: Tensor, noise: Sequence[str | Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """x [N, I, H/2, W/2], rgb [N, C, H/2, W/2], ws [N, num_convs + 1, D] -> x [N, O, H, W], rgb [N, C, H, W].

        The RGB layer uses the style after the block's own, which is also the next block's first.
        """
        if self.conv0 is None or x is None:
            assert self.const is not None
            x = self.conv1(self.const.to(ws.dtype).expand(ws.shape[0], -1, -1, -1), ws[:, 0], noise[0])
        elif self.skip is not None:
            shortcut = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, ws[:, 0], noise[0])
            x = shortcut + self.conv1(x, ws[:, 1], noise[1], gain=math.sqrt(0.5))
        else:
            x = self.conv1(self.conv0(x, ws[:, 0], noise[0]), ws[:, 1], noise[1])
        if rgb is not None:
            rgb = upsample2d(rgb, self.kernel)
        if self.to_rgb is not None:
            y = self.to_rgb(x, ws[:, self.num_convs])
            y = y.to(torch.promote_types(y.dtype, torch.float32))  # RGB images add up over many blocks
            rgb = y if rgb is None else rgb + y
        return x, rgb


class Synthesis(StyleSynthesis):
    """ws -> image, from a learned 4x4 constant upwards.

    Args:
        widths: resolution -> feature maps, from 4 to the image's resolution.
        options: see `LayerOptions`.

    Attributes:
        num_ws: style slots L = 2 log2(resolution) - 2.
        noise_sizes: side of each layer's noise, in order; empty without noise.
    """

    def __init__(self, widths: dict[int, int], options: LayerOptions) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict(
            {
                str(r): SynthesisBlock(
                    resolution=r,
                    in_channels=widths.get(r // 2, 0),
                    out_channels=widths[r],
                    is_last=r == max(widths),
                    options=options,
                )
                for r in widths
            }
        )
        sides = [r for r in widths for _ in range(2)][1:]  # one layer at 4x4, two above
        self.num_ws = len(sides) + 1
        self.noise_sizes = sides if options.use_noise else []

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """ws [N, L, D] -> [N, C, H, W], nominally in [-1, 1].

        Args:
            noise: "const" for the noise stored with the weights, "none", or one [N, 1, r, r] for each of
                `noise_sizes`.
        """
        if ws.ndim != 3 or ws.shape[1] != self.num_ws:
            raise ValueError(f"ws has shape {list(ws.shape)}; this network takes [N, {self.num_ws}, w_dim]")
        if not self.noise_sizes:
            noise = "none"
        layers: Sequence[str | Tensor] = [noise] * (self.num_ws - 1) if isinstance(noise, str) else noise
        x = rgb = None
        first = 0
        for block in self.blocks.values():
            assert isinstance(block, SynthesisBlock)
            end = first + block.num_convs
            x, rgb = block(x, rgb, ws[:, first : end + 1], layers[first:end])
            first = end
        assert rgb is not None
        return rgb


class Generator(StyleGenerator):
    """Mapping and synthesis: z, c -> image.

    Args:
        resolution, channels, num_classes: set by the dataset.
        z_dim, w_dim: widths of z and w.
        mapping_layers: fully connected layers of the mapping network.
        mapping_lr_multiplier: factor on the learning rate of these layers.
        architecture: "skip", "resnet" or "orig" (figure 7).
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        use_noise: per-layer noise.
        activation: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus or swish.
        conv_clamp: limit on magnitudes, 256 in the published half-precision settings; null for no limit.
        resample_taps: FIR filter of the up-sampling.

    Raises:
        UserError: an unsupported resolution, architecture or activation.
    """

    name = "stylegan2"

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        z_dim: Width = 512,
        w_dim: Width = 512,
        mapping_layers: Depth = 8,
        mapping_lr_multiplier: RateFactor = 0.01,
        architecture: str = "skip",
        channel_base: ChannelBase = 32768,
        channel_max: Width = 512,
        use_noise: bool = True,
        activation: str = "lrelu",
        conv_clamp: Clamp | None = None,
        resample_taps: Taps = (1, 3, 3, 1),
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        check_architecture("generator.architecture", architecture)
        get_activation(activation)
        self.resolution, self.channels, self.num_classes = resolution, channels, num_classes
        self.z_dim, self.w_dim = z_dim, w_dim
        self.mapping = Mapping(
            z_dim=z_dim,
            num_classes=num_classes,
            w_dim=w_dim,
            num_layers=mapping_layers,
            lr_multiplier=mapping_lr_multiplier,
            activation=activation,
        )
        options = LayerOptions(
            img_channels=channels,
            architecture=architecture,
            w_dim=w_dim,
            use_noise=use_noise,
            activation=activation,
            conv_clamp=conv_clamp,
            resample_taps=resample_taps,
        )
        self.synthesis = Synthesis(layer_widths(resolution, channel_base, channel_max), options)
        self.num_ws = self.synthesis.num_ws

    def forward(self, z: Tensor, c: Tensor | None = None, noise: Noise = "const") -> Tensor:
        """z [N, z_dim], c [N, num_classes] or None -> [N, channels, resolution, resolution]."""
        w = self.mapping(z, c)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.num_ws, -1), noise)
