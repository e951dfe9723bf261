"""What training, sampling and metrics rely on in a generator, whatever its paper."""

from typing import Any, ClassVar

from torch import nn

from stylegen.networks.mapping import Mapping


class StyleSynthesis(nn.Module):
    """``synthesis(ws [N, num_ws, w_dim], noise="const" | "none" | tensors)`` -> pictures [N, C, H, W].

    Attributes:
        num_ws: style slots.
        noise_sizes: side of each layer's noise picture [N, 1, r, r], in the order in which tensors are given.
    """

    num_ws: int
    noise_sizes: list[int]


class StyleGenerator(nn.Module):
    """A mapping network z, c -> w and a synthesis network ws -> picture.

    Attributes:
        name: key in `networks.GENERATORS`.
        resolution, channels, num_classes: of the pictures and labels.
        z_dim, w_dim, num_ws: widths of the latents, number of style slots.
        settings: every constructor argument, as `build_generator` recorded it.
    """

    name: ClassVar[str]
    resolution: int
    channels: int
    num_classes: int
    z_dim: int
    w_dim: int
    num_ws: int
    mapping: Mapping
    synthesis: StyleSynthesis
    settings: dict[str, Any]
