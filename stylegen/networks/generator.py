"""What training, sampling and metrics rely on in a generator, whatever its paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.networks.mapping import StyleMapping

Noise = str | Sequence[Tensor]  # "const", "none", or one [N, 1, H, W] for each layer of `noise_sizes`


@dataclass(frozen=True)
class Level:
    """Where a growing network stands (Karras et al. 2018, arXiv 1710.10196, figure 2).

    Args:
        resolution: side of its pictures.
        alpha: how far this resolution has faded in: its own share, from 0 to 1; the rest is the next lower one's.
    """

    resolution: int
    alpha: float = 1.0


def check_level(level: Level, resolutions: Sequence[int]) -> Level:
    """The level, if a network with these resolutions, in rising order, can stand there; UserError otherwise."""
    if level.resolution not in resolutions:
        known = ", ".join(map(str, resolutions))
        raise UserError(
            f"resolution={level.resolution}",
            rule=f"this network works at {known} px",
            fix=f"Use resolution={resolutions[-1]}" + (" or a lower one of these" if len(resolutions) > 1 else ""),
        )
    if not 0 <= level.alpha <= 1:  # NaN fails too
        raise UserError(
            f"alpha={level.alpha}", rule="it is the share of the new resolution, from 0 to 1", fix="Use alpha=1"
        )
    if level.alpha < 1 and level.resolution == resolutions[0]:
        raise UserError(
            f"resolution={level.resolution} alpha={level.alpha}",
            rule=f"{level.resolution} px is this network's lowest resolution, with none below to fade from",
            fix="Use alpha=1 there",
        )
    return level


class StyleSynthesis(nn.Module):
    """``synthesis(ws [N, num_ws, w_dim], noise="const" | "none" | tensors)`` -> pictures [N, C, H, W].

    Attributes:
        num_ws: style slots.
        noise_sizes: side of each layer's noise picture [N, 1, r, r], in the order in which tensors are given; of the
            layers that are active at the generator's level.
    """

    num_ws: int
    noise_sizes: list[int]


class StyleGenerator(nn.Module):
    """A mapping network z, c -> w and a synthesis network ws -> picture.

    A network that grows stands at a `level` and draws there unless told otherwise; the others have one level.

    Attributes:
        name: key in `networks.GENERATORS`.
        resolution, channels, num_classes: of the finished pictures and labels.
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
    mapping: StyleMapping
    synthesis: StyleSynthesis
    settings: dict[str, Any]

    @property
    def resolutions(self) -> list[int]:
        """Sides of the pictures that it can draw, rising."""
        return [self.resolution]

    @property
    def level(self) -> Level:
        """Where it stands."""
        return Level(self.resolution)

    @property
    def num_active_ws(self) -> int:
        """Style slots that matter at its level: the first ones. Mixing crosses over between these."""
        return self.num_ws

    def set_level(self, resolution: int, alpha: float = 1.0) -> None:
        """Stand at another level. Raises UserError for one that this network does not have."""
        check_level(Level(resolution, alpha), self.resolutions)


def layer_width(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at this resolution, min(channel_base / resolution, channel_max); UserError where none are left."""
    if channel_base < resolution or channel_max < 1:
        raise UserError(
            f"channel_base={channel_base} channel_max={channel_max}",
            rule=f"they leave no feature map at {resolution} px",
            fix=f"Use channel_base={resolution * 8} or more; StyleGAN's own is 16384, StyleGAN2's 32768, "
            "both with channel_max=512",
        )
    return min(channel_base // resolution, channel_max)
