"""StyleGAN generator (Karras et al. 2019, arXiv 1812.04948), grown progressively (Karras et al. 2018, 1710.10196).

Read bottom-up beside figure 1b: layer, block, synthesis, generator. The configurations of table 1 are constructor
arguments:

    B tuned baseline              conditioning=none use_noise=false mapping_layers=0; A, ProGAN, has blur_taps=[1] too
    C + mapping and styles        const_input=false use_noise=false
    D - traditional input         use_noise=false
    E + noise inputs              the defaults
    F + mixing regularization     E, trained with style mixing

Layers above the current resolution are not computed. Golden files of kind `stylegan1_` pin outputs, losses and
gradients at every level of detail.

Letters: N batch, I O C channels, H W space, L style slots, D width of a layer's condition (w, or a label).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Depth, RateFactor, Resolution, Taps, Width
from stylegen.layers.activation import bias_act
from stylegen.layers.conditioning import CONDITIONINGS, condition_kind
from stylegen.layers.equalized import EqualizedConv2d
from stylegen.layers.scaled_conv import Blur, ScaledConv2d, nearest_upsample
from stylegen.layers.synthesis_inputs import ConstantInput, LatentInput, NoiseInput
from stylegen.networks.generator import Level, Noise, StyleGenerator, StyleSynthesis, check_level, layer_widths
from stylegen.networks.mapping import JointMapping
from stylegen.spec import ImageSpec


@dataclass(frozen=True)
class LayerOptions:
    """Settings shared by all layers of a synthesis network; see `Generator`. `condition_dim` is D."""

    img_channels: int
    condition_dim: int
    conditioning: str
    use_noise: bool
    blur_taps: Sequence[float]
    fused_from: int | None

    def fused(self, resolution: int) -> bool:
        """Whether up-sampling to `resolution` is part of the convolution."""
        return self.fused_from is not None and resolution >= self.fused_from


class StyleLayer(nn.Module):
    """Convolution, noise, bias, leaky ReLU, then style (figure 1b).

    Args:
        resolution: side of the output in pixels.
        in_channels: 0 for the first layer, which has no convolution.
        out_channels: width O.
        up: 1 or 2; an up-sampling convolution is followed by the blur.
        options: see `LayerOptions`.

    Shape: x [N, I, H / up, W / up], condition [N, D], noise "const", "none" or [N, 1, H, W] -> [N, O, H, W].
    """

    def __init__(self, resolution: int, in_channels: int, out_channels: int, up: int, options: LayerOptions) -> None:
        super().__init__()
        self.conv = None
        if in_channels:
            self.conv = ScaledConv2d(in_channels, out_channels, up=up, fused=options.fused(resolution))
        self.blur = Blur(options.blur_taps) if up == 2 else None
        self.noise = NoiseInput(out_channels, resolution) if options.use_noise else None
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conditioning = CONDITIONINGS[options.conditioning](out_channels, options.condition_dim)

    def forward(self, x: Tensor, condition: Tensor, noise: str | Tensor) -> Tensor:
        if self.conv is not None:
            x = self.conv(x)
        if self.blur is not None:
            x = self.blur(x)
        if self.noise is not None:
            x = self.noise(x, noise)
        x = bias_act(x, self.bias, "lrelu", gain=1.0)  # the convolution's weights include the gain
        return self.conditioning(x, condition)


class SynthesisBlock(nn.Module):
    """One resolution: two layers, the first up-sampling (except at 4x4), and an RGB layer.

    Args:
        resolution: side of the output in pixels.
        in_channels: channels of the previous block; 0 for the 4x4 block.
        out_channels: width O.
        options: see `LayerOptions`.
    """

    def __init__(self, resolution: int, in_channels: int, out_channels: int, options: LayerOptions) -> None:
        super().__init__()
        self.layer0 = StyleLayer(resolution, in_channels, out_channels, up=2 if in_channels else 1, options=options)
        self.layer1 = StyleLayer(resolution, out_channels, out_channels, up=1, options=options)
        self.to_rgb = EqualizedConv2d(out_channels, options.img_channels, 1)

    def forward(self, x: Tensor, conditions: Tensor, noise: Sequence[str | Tensor]) -> Tensor:
        """x [N, I, H/2, W/2] (or the 4x4 input), conditions [N, 2, D], noise of both layers -> [N, O, H, W]."""
        x = self.layer0(x, conditions[:, 0], noise[0])
        return self.layer1(x, conditions[:, 1], noise[1])


class Synthesis(StyleSynthesis):
    """ws -> image at the current resolution, from the 4x4 input upwards.

    Args:
        widths: resolution -> feature maps, from 4 to the final resolution.
        w_dim: width of w.
        label_dim: width of the label that follows w in each slot, for a conditioning by index; 0 for none.
        const_input: a learned constant; False computes the 4x4 maps from w in the first style slot.
        options: see `LayerOptions`.

    Attributes:
        num_ws: style slots L = 2 log2(resolution) - 2, two per resolution; 1 if layers are unconditional.
        level: the current resolution and alpha.
        noise_sizes: side of each active layer's noise, in order; empty without noise.
    """

    def __init__(
        self, widths: dict[int, int], w_dim: int, label_dim: int, const_input: bool, options: LayerOptions
    ) -> None:
        super().__init__()
        self.resolutions = list(widths)
        self.input: nn.Module = ConstantInput(widths[4]) if const_input else LatentInput(w_dim, widths[4])
        self.blocks = nn.ModuleDict(
            {
                str(r): SynthesisBlock(
                    resolution=r, in_channels=widths.get(r // 2, 0), out_channels=widths[r], options=options
                )
                for r in widths
            }
        )
        self.w_dim, self.label_dim, self.use_noise = w_dim, label_dim, options.use_noise
        self.has_styles = CONDITIONINGS[options.conditioning].kind != "none"
        self.num_ws = 2 * len(self.resolutions) if self.has_styles else 1
        self.set_level(Level(self.resolutions[-1]))

    def set_level(self, level: Level) -> None:
        """Set the current resolution and alpha. Raises UserError for a level outside the network."""
        self.level = check_level(level, self.resolutions)
        self.noise_sizes = [r for r in self.resolutions if r <= level.resolution for _ in range(2 * self.use_noise)]

    def forward(
        self, ws: Tensor, noise: Noise = "const", resolution: int | None = None, alpha: float | None = None
    ) -> Tensor:
        """ws [N, L, D] -> [N, C, resolution, resolution], nominally in [-1, 1]; ignores slots above the resolution.

        Args:
            noise: "const" for the noise stored with the weights, "none", or one [N, 1, r, r] for each active layer
                (`noise_sizes`, at the current level).
            resolution, alpha: override the current level; alpha defaults to 1 if a resolution is given.

        Raises:
            UserError: a level outside the network.
        """
        if ws.ndim != 3 or ws.shape[1] != self.num_ws:
            raise ValueError(f"ws has shape {list(ws.shape)}; this network takes [N, {self.num_ws}, w_dim]")
        level = self._level(resolution, alpha)
        sides = [r for r in self.resolutions if r <= level.resolution]
        layers = self._noise(noise, len(sides))
        if not self.has_styles:
            ws = ws.expand(-1, 2 * len(sides), -1)
        x = below = self.input(ws[:, 0, : self.w_dim])
        conditions = ws[..., self.w_dim :] if self.label_dim else ws
        for k, side in enumerate(sides):
            below = x
            x = self.blocks[str(side)](x, conditions[:, 2 * k : 2 * k + 2], layers[2 * k : 2 * k + 2])
        rgb = self._rgb(x, sides[-1])
        if level.alpha < 1:
            rgb = torch.lerp(nearest_upsample(self._rgb(below, sides[-2])), rgb, level.alpha)
        return rgb

    def _level(self, resolution: int | None, alpha: float | None) -> Level:
        if resolution is None:
            level = self.level if alpha is None else Level(self.level.resolution, alpha)
        else:
            level = Level(resolution, 1.0 if alpha is None else alpha)
        return check_level(level, self.resolutions)

    def _noise(self, noise: Noise, num_blocks: int) -> Sequence[str | Tensor]:
        if isinstance(noise, str) or not self.use_noise:
            return [noise if isinstance(noise, str) else "none"] * (2 * num_blocks)
        if len(noise) != 2 * num_blocks:
            raise ValueError(f"{len(noise)} noise tensors; at this resolution the network takes {2 * num_blocks}")
        return noise

    def _rgb(self, x: Tensor, side: int) -> Tensor:
        block = self.blocks[str(side)]
        assert isinstance(block, SynthesisBlock)
        rgb = block.to_rgb(x)
        return rgb.to(torch.promote_types(rgb.dtype, torch.float32))  # the two images of a fade differ by little


class Generator(StyleGenerator):
    """Mapping and synthesis: z, c -> image.

    Args:
        resolution, channels, num_classes: set by the dataset.
        z_dim, w_dim: widths of z and w.
        mapping_layers: fully connected layers of the mapping network; 0 for w = normalized z.
        mapping_dim: width of their hidden layers; null for w_dim.
        mapping_lr_multiplier: factor on the learning rate of these layers.
        const_input: a learned 4x4 constant; false computes the 4x4 maps from w; null for a constant if the layers
            receive w.
        conditioning: normalization and modulation of each layer; docs/conditioning.md lists them.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        use_noise: per-layer noise.
        blur_taps: filter after up-sampling convolutions; [1] for none (ProGAN).
        fused_from: lowest resolution with up-sampling fused into the convolution; null for none.

    With a conditioning by index, each slot of `ws` holds w and then the label, and `w_dim` counts both. Truncation and
    mixing then act on labels too, and interpolated labels mix the styles of their classes.

    Raises:
        UserError: an unsupported setting, a latent without effect, or a conditioning by label without labels.
    """

    name = "stylegan1"
    synthesis: Synthesis

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        z_dim: Width = 512,
        w_dim: Width = 512,
        mapping_layers: Depth = 8,
        mapping_dim: Width | None = None,
        mapping_lr_multiplier: RateFactor = 0.01,
        const_input: bool | None = None,
        conditioning: str = "adain",
        channel_base: ChannelBase = 16384,
        channel_max: Width = 512,
        use_noise: bool = True,
        blur_taps: Taps = (1, 2, 1),
        fused_from: Resolution | None = 128,
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        kind = condition_kind(conditioning, const_input, num_classes)
        label_dim = num_classes if kind == "index" else 0
        self.resolution, self.channels, self.num_classes = resolution, channels, num_classes
        self.z_dim, self.w_dim = z_dim, w_dim + label_dim
        self.mapping = JointMapping(
            z_dim=z_dim,
            num_classes=num_classes,
            w_dim=w_dim,
            num_layers=mapping_layers,
            hidden_dim=mapping_dim,
            lr_multiplier=mapping_lr_multiplier,
            append_label=label_dim > 0,
        )
        options = LayerOptions(
            img_channels=channels,
            condition_dim=label_dim or w_dim,
            conditioning=conditioning,
            use_noise=use_noise,
            blur_taps=blur_taps,
            fused_from=fused_from,
        )
        self.synthesis = Synthesis(
            layer_widths(resolution, channel_base, channel_max),
            w_dim=w_dim,
            label_dim=label_dim,
            const_input=kind == "vector" if const_input is None else const_input,
            options=options,
        )
        self.num_ws = self.synthesis.num_ws

    @property
    def resolutions(self) -> list[int]:
        return self.synthesis.resolutions

    @property
    def level(self) -> Level:
        return self.synthesis.level

    @property
    def num_active_ws(self) -> int:
        return min(2 * (self.level.resolution.bit_length() - 2), self.num_ws)

    def set_level(self, resolution: int, alpha: float = 1.0) -> None:
        self.synthesis.set_level(Level(resolution, alpha))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        noise: Noise = "const",
        resolution: int | None = None,
        alpha: float | None = None,
    ) -> Tensor:
        """z [N, z_dim], c [N, num_classes] or None -> [N, channels, r, r] at the current or the given level."""
        w = self.mapping(z, c)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.num_ws, -1), noise, resolution, alpha)
