"""StyleGAN (Karras et al. 2019, arXiv 1812.04948), grown progressively (Karras et al. 2018, arXiv 1710.10196).

The generator, read bottom-up beside figure 1b: layer, block, synthesis, generator; its mapping network stands in
`mapping.py`, its discriminator in the file beside this one. Table 1's configurations are constructor arguments:

    B tuned baseline              conditioning=none use_noise=false mapping_layers=0
    C + mapping and styles        const_input=false use_noise=false
    D - traditional input         use_noise=false
    E + noise inputs              the defaults
    F + mixing regularisation     E, trained with mixed styles

A network at a low level computes that level and nothing above it. Golden files of kind `stylegan1_` pin outputs, losses
and gradients at every level of detail.

`conditioning` swaps the styles' adaptive instance normalisation for another form; docs/conditioning.md has the table.

Letters: N batch, C channels, H W space, L style slots, D width of what steers a layer (w, or a label beside it).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Depth, RateFactor, Resolution, Taps, Width
from stylegen.layers.activation import bias_act
from stylegen.layers.blur import Blur
from stylegen.layers.conditioning import CONDITIONINGS, condition_kind
from stylegen.layers.equalized import EqualizedConv2d
from stylegen.layers.noise import Noise as NoiseLayer
from stylegen.layers.scaled_conv import ScaledConv2d, nearest_upsample
from stylegen.layers.synthesis_input import ConstantInput, LatentInput
from stylegen.networks.generator import Level, Noise, StyleGenerator, StyleSynthesis, check_level, layer_width
from stylegen.networks.mapping import JointMapping
from stylegen.spec import ImageSpec


class StyleLayer(nn.Module):
    """Convolution, noise, bias, leaky ReLU, then style (figure 1b).

    Args:
        in_channels: 0 for the first layer, which has no convolution.
        out_channels, condition_dim: widths.
        resolution: of the output.
        up, fused: see `ScaledConv2d`; an up-sampling convolution is followed by the blur.
        use_noise, conditioning, blur_taps: see `Synthesis`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        condition_dim: int,
        resolution: int,
        up: int,
        fused: bool,
        use_noise: bool,
        conditioning: str,
        blur_taps: Sequence[float],
    ) -> None:
        super().__init__()
        self.conv = ScaledConv2d(in_channels, out_channels, up=up, fused=fused) if in_channels else None
        self.blur = Blur(blur_taps) if up == 2 else None
        self.noise = NoiseLayer(out_channels, resolution) if use_noise else None
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conditioning = CONDITIONINGS[conditioning](out_channels, condition_dim)

    def forward(self, x: Tensor, w: Tensor, noise: str | Tensor) -> Tensor:
        """x [N, I, H / up, W / up], w [N, D], noise "const", "none" or [N, 1, H, W] -> [N, O, H, W]."""
        if self.conv is not None:
            x = self.conv(x)
        if self.blur is not None:
            x = self.blur(x)
        if self.noise is not None:
            x = self.noise(x, noise)
        x = bias_act(x, self.bias, "lrelu", gain=1.0)  # the convolution has its gain already
        return self.conditioning(x, w)


class SynthesisBlock(nn.Module):
    """One resolution: two layers, the first up-sampling (or, at 4x4, taking the input), and an RGB layer.

    Args:
        in_channels: of the block below; 0 makes the 4x4 block.
        fused ... blur_taps: see `StyleLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        img_channels: int,
        condition_dim: int,
        resolution: int,
        fused: bool,
        use_noise: bool,
        conditioning: str,
        blur_taps: Sequence[float],
    ) -> None:
        super().__init__()
        shared = (fused, use_noise, conditioning, blur_taps)
        self.layer0 = StyleLayer(in_channels, out_channels, condition_dim, resolution, 2 if in_channels else 1, *shared)
        self.layer1 = StyleLayer(out_channels, out_channels, condition_dim, resolution, 1, *shared)
        self.to_rgb = EqualizedConv2d(out_channels, img_channels, 1)

    def forward(self, x: Tensor, ws: Tensor, noise: Sequence[str | Tensor]) -> Tensor:
        """x [N, I, H/2, W/2] (or the 4x4 input), ws [N, 2, D], noise of both layers -> [N, O, H, W]."""
        return self.layer1(self.layer0(x, ws[:, 0], noise[0]), ws[:, 1], noise[1])


class Synthesis(StyleSynthesis):
    """ws -> picture, from the 4x4 input upwards as far as the network has grown.

    Args:
        resolution, channels: of the finished picture.
        w_dim: width of w.
        label_dim: width of a label that stands beside w, for a conditioning by index; 0 for none.
        const_input: a learned constant; False computes the 4x4 maps from w in the first style slot.
        conditioning: what styles do to a layer, see `CONDITIONINGS`: told w, or the label, or nothing.
        channel_base, channel_max: feature maps at resolution r are min(channel_base / r, channel_max).
        use_noise: per-layer noise.
        blur_taps: filter behind up-sampling convolutions; [1] for none (ProGAN).
        fused_from: from this resolution on, up-sampling is part of the convolution; None for nowhere.

    Attributes:
        num_ws: style slots L = 2 log2(resolution) - 2, two a resolution; 1 for a conditioning that is told nothing.
        level: where the network stands.
        noise_sizes: side of each active layer's noise picture, in order; empty without noise.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        w_dim: int,
        label_dim: int,
        const_input: bool,
        conditioning: str,
        channel_base: int,
        channel_max: int,
        use_noise: bool,
        blur_taps: Sequence[float],
        fused_from: int | None,
    ) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(2, resolution.bit_length())]
        widths = {r: layer_width(r, channel_base, channel_max) for r in self.resolutions}
        self.input: nn.Module = ConstantInput(widths[4]) if const_input else LatentInput(w_dim, widths[4])
        self.blocks = nn.ModuleDict(
            {
                str(r): SynthesisBlock(
                    *(widths.get(r // 2, 0), widths[r], channels, label_dim or w_dim, r),
                    *(fused_from is not None and r >= fused_from, use_noise, conditioning, blur_taps),
                )
                for r in self.resolutions
            }
        )
        self.w_dim, self.label_dim = w_dim, label_dim
        self.use_noise, self.has_styles = use_noise, CONDITIONINGS[conditioning].kind != "none"
        self.num_ws = 2 * len(self.resolutions) if self.has_styles else 1
        self.set_level(Level(resolution))

    def set_level(self, level: Level) -> None:
        """Stand there from now on. Raises UserError for a level that the network does not have."""
        self.level = check_level(level, self.resolutions)
        self.noise_sizes = [r for r in self.resolutions if r <= level.resolution for _ in range(2 * self.use_noise)]

    def forward(
        self, ws: Tensor, noise: Noise = "const", resolution: int | None = None, alpha: float | None = None
    ) -> Tensor:
        """ws [N, L, D] -> [N, C, resolution, resolution], nominally in [-1, 1]; slots above the level are not read.

        Args:
            noise: "const" uses the pictures stored with the weights, "none" leaves noise out, a sequence gives one
                [N, 1, r, r] for each active layer (`noise_sizes`, at the network's own level).
            resolution, alpha: another level than the network's own; with a resolution alone, alpha is 1.

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
        ws = ws[..., self.w_dim :] if self.label_dim else ws
        for k, side in enumerate(sides):
            below = x
            x = self.blocks[str(side)](x, ws[:, 2 * k : 2 * k + 2], layers[2 * k : 2 * k + 2])
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
            raise ValueError(f"{len(noise)} noise pictures; at this level the network takes {2 * num_blocks}")
        return noise

    def _rgb(self, x: Tensor, side: int) -> Tensor:
        block = self.blocks[str(side)]
        assert isinstance(block, SynthesisBlock)
        rgb = block.to_rgb(x)
        return rgb.to(torch.promote_types(rgb.dtype, torch.float32))  # two pictures of a fade differ by little


class Generator(StyleGenerator):
    """Mapping and synthesis: z, c -> picture.

    Args:
        resolution, channels, num_classes: given by the dataset.
        z_dim, w_dim: widths of the latents.
        mapping_layers, mapping_dim, mapping_lr_multiplier: see `JointMapping` (num_layers, hidden_dim, lr_multiplier).
        const_input: see `Synthesis`; None for a constant where the layers are told w, which else enters here.
        conditioning ... fused_from: see `Synthesis`.

    A conditioning by index finds the label beside w in each slot, as `mapping` returns it; `w_dim` counts both. So
    truncation and mixing act on labels too, and what lies between two labels is a mixture of their styles.

    Raises:
        UserError: an impossible setting, a latent without any effect, or a conditioning by labels that are not there.
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
        told = condition_kind(conditioning, const_input, num_classes)
        label_dim = num_classes if told == "index" else 0
        constant = told == "vector" if const_input is None else const_input
        self.resolution, self.channels, self.num_classes = resolution, channels, num_classes
        self.z_dim, self.w_dim = z_dim, w_dim + label_dim
        self.mapping = JointMapping(
            *(z_dim, num_classes, w_dim, mapping_layers, mapping_dim, mapping_lr_multiplier),
            label_beside=label_dim > 0,
        )
        self.synthesis = Synthesis(
            *(resolution, channels, w_dim, label_dim, constant, conditioning, channel_base, channel_max),
            *(use_noise, blur_taps, fused_from),
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
        """z [N, z_dim], c [N, num_classes] or None -> [N, channels, r, r] at the network's level or the given one."""
        w = self.mapping(z, c)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.num_ws, -1), noise, resolution, alpha)
