"""StyleGAN3 generator, configurations T and R (Karras et al. 2021, arXiv 2106.12423).

Read bottom-up: layer, synthesis, generator; figure 4b shows a layer. Every intermediate image is a sampled signal whose
bandwidth, the cutoff, grows geometrically from layer to layer (`networks.stylegan3_schedule`). The sampling rate leaves
room for the frequencies that an activation adds, and margins around the image hide its borders. T is
equivariant to translation, R (1x1 convolutions, radial filters) to rotation as well. Golden files of kind `stylegan3_`
pin outputs.

Letters: N batch, I O C channels, H W space, L style slots, D width of w.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import ChannelBase, Clamp, Depth, Range, RateFactor, Share, Width
from stylegen.layers.equalized import EqualizedLinear
from stylegen.layers.filtered_lrelu import filtered_lrelu
from stylegen.layers.fourier_features import FourierFeatures
from stylegen.layers.lowpass import lowpass_filter
from stylegen.layers.modulated_conv import modulated_conv2d
from stylegen.networks.generator import Noise, StyleGenerator, StyleSynthesis
from stylegen.networks.mapping import Mapping
from stylegen.networks.stylegan3_schedule import Schedule, Signal
from stylegen.spec import ImageSpec

_MAGNITUDE_HALF_LIFE = 20_000  # images, as published


@dataclass(frozen=True)
class LayerOptions:
    """Settings shared by all layers; see `Generator`."""

    w_dim: int
    conv_kernel: int
    filter_size: int
    lrelu_upsampling: int
    use_radial_filters: bool
    conv_clamp: float | None


class SynthesisLayer(nn.Module):
    """Affine style, modulated convolution of the normalized input, bias, filtered leaky ReLU (figure 4b).

    The RGB layer is a 1x1 convolution without demodulation and activation.

    Args:
        before, after: input and output.
        is_rgb: whether this is the RGB layer.
        options: see `LayerOptions`.

    Attributes:
        magnitude_ema: [], EMA of the mean square of the input, by whose root the input is divided; training updates it.
        up, down: factors of the resampling around the leaky ReLU.

    Shape: x [N, I, H, H], w [N, D] -> [N, O, H', H'].
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, before: Signal, after: Signal, is_rgb: bool, options: LayerOptions) -> None:
        super().__init__()
        self.is_rgb, self.clamp = is_rgb, options.conv_clamp
        self.kernel_size = kernel = 1 if is_rgb else options.conv_kernel
        self.affine = EqualizedLinear(options.w_dim, before.channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(after.channels, before.channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after.channels))
        self.register_buffer("magnitude_ema", torch.ones(()))
        rate = max(before.sampling_rate, after.sampling_rate) * (1 if is_rgb else options.lrelu_upsampling)
        self.up, self.down = rate // before.sampling_rate, rate // after.sampling_rate

        def lowpass(signal: Signal, factor: int, radial: bool) -> Tensor | None:
            if factor == 1:
                return None
            return lowpass_filter(options.filter_size * factor, signal.cutoff, 2 * signal.half_width, rate, radial)

        up_filter = lowpass(before, self.up, radial=False)
        down_filter = lowpass(after, self.down, radial=options.use_radial_filters and not after.critical)
        self.register_buffer("up_filter", up_filter, persistent=False)
        self.register_buffer("down_filter", down_filter, persistent=False)
        taps = sum(1 if taps is None else taps.shape[-1] for taps in (up_filter, down_filter))
        # Zeros around the up-sampled image, half at each end: samples lie at the centers of pixels (appendix C.3).
        total = (after.size - 1) * self.down + 1 - (before.size + kernel - 1) * self.up + taps - 2
        self.padding = ((total + self.up) // 2, total - (total + self.up) // 2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        input_gain, bias = self.magnitude_ema.rsqrt(), self.bias[:, None, None]
        styles = self.affine(w)
        if self.is_rgb:
            styles = styles * (input_gain / math.sqrt(self.weight.shape[1]))
            y = modulated_conv2d(x, self.weight, styles, demodulate=False, noise=bias.to(x.dtype))
            return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        y = modulated_conv2d(x, self.weight, styles, gain=input_gain, noise=bias, padding=self.kernel_size - 1)
        return filtered_lrelu(
            y, self.up_filter, self.down_filter, up=self.up, down=self.down, padding=self.padding, clamp=self.clamp
        )


class Synthesis(StyleSynthesis):
    """ws -> image: Fourier features, N layers, an RGB layer. There are no noise inputs.

    Args:
        signals: the output of each layer; the input's are the first one's.
        output_scale: factor on the RGB layer's output.
        magnitude_ema_beta: decay of the layers' `magnitude_ema` per step; None for 0.5^(batch / 20,000).
        options: see `LayerOptions`.

    Attributes:
        num_ws: style slots L = N + 2: the input, each layer, the RGB layer.
        noise_sizes: empty.
    """

    measures_magnitudes = True

    def __init__(
        self, signals: Sequence[Signal], output_scale: float, magnitude_ema_beta: float | None, options: LayerOptions
    ) -> None:
        super().__init__()
        self.signals, self.output_scale, self.magnitude_ema_beta = signals, output_scale, magnitude_ema_beta
        first = signals[0]
        self.input = FourierFeatures(
            w_dim=options.w_dim,
            channels=first.channels,
            size=first.size,
            sampling_rate=first.sampling_rate,
            bandwidth=first.cutoff,
        )
        self.layers = nn.ModuleList(
            SynthesisLayer(signals[max(i - 1, 0)], after, is_rgb=i == len(signals) - 1, options=options)
            for i, after in enumerate(signals)
        )
        self.num_ws, self.noise_sizes = len(signals) + 1, []

    def blocks_by_resolution(self) -> dict[int, list[nn.Module]]:
        """The layers by the sampling rate of their output."""
        rates = [signal.sampling_rate for signal in self.signals]
        return {rate: [self.layers[i] for i, own in enumerate(rates) if own == rate] for rate in sorted(set(rates))}

    @torch.no_grad()
    def update_magnitudes(self, magnitudes: Tensor, batch_size: int) -> None:
        """Move each layer's `magnitude_ema` toward the mean square of its input: [N + 1], of `forward`."""
        decay = self.magnitude_ema_beta
        if decay is None:
            decay = 0.5 ** (batch_size / _MAGNITUDE_HALF_LIFE)
        for layer, value in zip(self.layers, magnitudes, strict=True):
            assert isinstance(layer, SynthesisLayer)
            target = torch.where(value.isfinite(), value, layer.magnitude_ema).to(layer.magnitude_ema.dtype)
            layer.magnitude_ema.lerp_(target, 1 - decay)

    def forward(
        self,
        ws: Tensor,
        noise: Noise = "const",
        magnitudes: list[Tensor] | None = None,
        transform: Tensor | None = None,
    ) -> Tensor:
        """ws [N, L, D] -> [N, C, H, W], nominally in [-1, 1].

        Args:
            noise: has no effect.
            magnitudes: a list that receives the mean square of each layer's input, for `update_magnitudes`.
            transform: [3, 3] or [N, 3, 3], applied to the input; None for the stored one, see `FourierFeatures`.
        """
        if ws.ndim != 3 or ws.shape[1] != self.num_ws:
            raise ValueError(f"ws has shape {list(ws.shape)}; this network takes [N, {self.num_ws}, w_dim]")
        x = self.input(ws[:, 0], transform)
        for i, layer in enumerate(self.layers):
            if magnitudes is not None:
                values = x.detach()
                magnitudes.append(values.to(torch.promote_types(x.dtype, torch.float32)).square().mean())
            x = layer(x, ws[:, i + 1])
        return x.to(torch.promote_types(x.dtype, torch.float32)) * self.output_scale


class Generator(StyleGenerator):
    """Mapping and synthesis: z, c -> image. The defaults are configuration T.

    R has channel_base=65536, channel_max=1024, conv_kernel=1 and use_radial_filters=true.

    Args:
        resolution, channels, num_classes: set by the dataset.
        z_dim, w_dim: widths of z and w.
        mapping_layers: fully connected layers of the mapping network.
        mapping_lr_multiplier: factor on the learning rate of these layers.
        channel_base, channel_max: feature maps at cutoff f_c are min(channel_base / (2 f_c), channel_max).
        num_layers: N, without Fourier features and RGB layer.
        num_critical: critically sampled layers at the end.
        first_cutoff, first_stopband: f_c and f_t of the first layer, in cycles per side of the image; at most half
            the resolution and the resolution.
        last_stopband_rel: f_t / f_c of the last layer.
        margin_size: samples outside the image at each side.
        output_scale: factor on the RGB layer's output.
        conv_kernel: side of the convolutions.
        filter_size: taps of a filter per sample of the lower rate; a single one does not depend on the cutoff.
        lrelu_upsampling: sampling rate of the leaky ReLU, relative to the higher one of input and output; 1 folds the
            frequencies that it adds, the ablation m = 1 of figure 3.
        use_radial_filters: radially symmetric down-sampling, except in critically sampled layers.
        conv_clamp: limit on magnitudes; null for no limit.
        magnitude_ema_beta: decay of the EMA of input magnitudes per step; null for 0.5^(batch / 20,000), a half-life of
            20 kimg.

    Raises:
        UserError: an unsupported resolution; cutoffs or widths without filter or feature maps.
    """

    name = "stylegan3"
    takes_transform = True

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        num_classes: int = 0,
        z_dim: Width = 512,
        w_dim: Width = 512,
        mapping_layers: Depth = 2,
        mapping_lr_multiplier: RateFactor = 0.01,
        channel_base: ChannelBase = 32768,
        channel_max: Width = 512,
        num_layers: Annotated[int, Range(2, 64)] = 14,
        num_critical: Depth = 2,
        first_cutoff: Annotated[float, Range(0, 4096, above=True)] = 2.0,
        first_stopband: Annotated[float, Range(0, 4096, above=True)] = 2**2.1,
        last_stopband_rel: Annotated[float, Range(1, 2, above=True)] = 2**0.3,
        margin_size: Annotated[int, Range(0, 256)] = 10,
        output_scale: RateFactor = 0.25,
        conv_kernel: Annotated[int, Range(1, 15)] = 3,
        filter_size: Annotated[int, Range(2, 64)] = 6,
        lrelu_upsampling: Annotated[int, Range(1, 8)] = 2,
        use_radial_filters: bool = False,
        conv_clamp: Clamp | None = 256.0,
        magnitude_ema_beta: Share | None = None,
    ) -> None:
        super().__init__()
        ImageSpec(resolution, channels, num_classes)
        self.resolution, self.channels, self.num_classes = resolution, channels, num_classes
        self.z_dim, self.w_dim = z_dim, w_dim
        self.mapping = Mapping(
            z_dim=z_dim,
            num_classes=num_classes,
            w_dim=w_dim,
            num_layers=mapping_layers,
            lr_multiplier=mapping_lr_multiplier,
        )
        schedule = Schedule(
            resolution=resolution,
            channels=channels,
            channel_base=channel_base,
            channel_max=channel_max,
            num_layers=num_layers,
            num_critical=num_critical,
            first_cutoff=first_cutoff,
            first_stopband=first_stopband,
            last_stopband_rel=last_stopband_rel,
            margin_size=margin_size,
        )
        options = LayerOptions(
            w_dim=w_dim,
            conv_kernel=conv_kernel,
            filter_size=filter_size,
            lrelu_upsampling=lrelu_upsampling,
            use_radial_filters=use_radial_filters,
            conv_clamp=conv_clamp,
        )
        self._signals = schedule.signals()
        self.synthesis = Synthesis(self._signals, output_scale, magnitude_ema_beta, options)
        self.num_ws = self.synthesis.num_ws

    @property
    def slot_resolutions(self) -> list[int]:
        """Resolution of each slot: the sampling rate that its layer's bandwidth needs, 2 f_c, rounded down to a power
        of two from 4 on. The rates of the layers themselves begin at 16 and exceed their content.
        """
        rates = [max(4, 2 ** math.floor(math.log2(2 * signal.cutoff) + 1e-6)) for signal in self._signals]
        return [rates[0], *rates]

    def forward(self, z: Tensor, c: Tensor | None = None, noise: Noise = "const") -> Tensor:
        """z [N, z_dim], c [N, num_classes] or None -> [N, channels, resolution, resolution]."""
        w = self.mapping(z, c)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.num_ws, -1), noise)
