"""The interface of a generator, as training, sampling and metrics use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.networks.mapping import StyleMapping

Noise = str | Sequence[Tensor]  # "const", "none", or one [N, 1, H, W] for each layer of `noise_sizes`


@dataclass(frozen=True)
class Level:
    """Current state of a growing network (Karras et al. 2018, arXiv 1710.10196, figure 2).

    Args:
        resolution: side of its images.
        alpha: weight of this resolution in a fade, in [0, 1]; the next lower one has weight 1 - alpha.
    """

    resolution: int
    alpha: float = 1.0


def check_level(level: Level, resolutions: Sequence[int]) -> Level:
    """Return `level` if it is valid for these resolutions (ascending); raise UserError otherwise."""
    if level.resolution not in resolutions:
        known = ", ".join(map(str, resolutions))
        raise UserError(
            f"resolution={level.resolution}",
            rule=f"this network generates {known} px",
            fix=f"Use resolution={resolutions[-1]}" + (" or a lower one of these" if len(resolutions) > 1 else ""),
        )
    if not 0 <= level.alpha <= 1:  # also rejects NaN
        raise UserError(
            f"alpha={level.alpha}", rule="alpha, the weight of the new resolution, must be in [0, 1]", fix="Use alpha=1"
        )
    if level.alpha < 1 and level.resolution == resolutions[0]:
        raise UserError(
            f"resolution={level.resolution} alpha={level.alpha}",
            rule=f"{level.resolution} px is the network's lowest resolution, so no lower one fades into it",
            fix="Use alpha=1",
        )
    return level


class StyleSynthesis(nn.Module):
    """``synthesis(ws [N, num_ws, w_dim], noise="const" | "none" | tensors)`` -> images [N, C, H, W].

    Attributes:
        num_ws: style slots.
        noise_sizes: side r of each active layer's noise [N, 1, r, r], in order; empty for a network without noise.
        measures_magnitudes: whether `forward` takes `magnitudes`, a list that receives the mean square of each layer's
            input; training passes their means over the batch to `update_magnitudes`.
    """

    measures_magnitudes: ClassVar[bool] = False

    num_ws: int
    noise_sizes: list[int]

    def blocks_by_resolution(self) -> Mapping[int, Sequence[nn.Module]]:
        """Modules whose first argument is the image that they process, by its resolution; for half precision."""
        return {int(side): [block] for side, block in self.get_submodule("blocks").named_children()}

    def update_magnitudes(self, magnitudes: Tensor, batch_size: int) -> None:
        """Move the EMA of each layer's input magnitude toward `magnitudes` [layers] of a batch."""
        raise NotImplementedError


class StyleGenerator(nn.Module):
    """A mapping network z, c -> w and a synthesis network ws -> image.

    A growing network generates images at its `level` by default; other networks have a single level.

    Attributes:
        name: key in `networks.GENERATORS`.
        takes_transform: whether `synthesis` takes `transform`, a matrix [3, 3] or [N, 3, 3] that maps positions in the
            image to positions in the input.
        resolution, channels: size of the final images.
        num_classes: width of the labels; 0 for an unconditional network.
        z_dim, w_dim, num_ws: widths of z and w, number of style slots.
        settings: every constructor argument, recorded by `build_generator`.
    """

    name: ClassVar[str]
    takes_transform: ClassVar[bool] = False
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
        """Resolutions that the network can generate, ascending."""
        return [self.resolution]

    @property
    def level(self) -> Level:
        """The current resolution and alpha."""
        return Level(self.resolution)

    @property
    def num_active_ws(self) -> int:
        """Number of style slots used at the current level; they come first. Mixing is limited to them."""
        return self.num_ws

    @property
    def slot_resolutions(self) -> list[int]:
        """Resolution in pixels of each active style slot, as in the style-mixing figures of StyleGAN 1 and 2.

        Two slots per resolution; slots 0 and 1 (4x4 convolution, first up-sampling one) count as 4 px. StyleGAN2's
        last slot belongs to the last RGB layer.
        """
        return [min(4 * 2 ** (slot // 2), self.level.resolution) for slot in range(self.num_active_ws)]

    @property
    def has_noise(self) -> bool:
        """Whether the layers have noise inputs."""
        return bool(self.synthesis.noise_sizes) and bool(self.settings.get("use_noise", True))

    def set_level(self, resolution: int, alpha: float = 1.0) -> None:
        """Set the current resolution and alpha. Raises UserError for a level outside the network."""
        check_level(Level(resolution, alpha), self.resolutions)


def layer_widths(resolution: int, channel_base: int, channel_max: int) -> dict[int, int]:
    """Feature maps, min(channel_base / r, channel_max), for each r = 4, 8, ..., resolution.

    Raises:
        UserError: fewer than one feature map at some resolution.
    """
    if channel_base < resolution or channel_max < 1:
        raise UserError(
            f"channel_base={channel_base} channel_max={channel_max}",
            rule=f"they give no feature map at {resolution} px",
            fix=f"Use channel_base={resolution * 8} or more; StyleGAN uses 16384, StyleGAN2 32768, both with "
            "channel_max=512",
        )
    return {2**i: min(channel_base // 2**i, channel_max) for i in range(2, resolution.bit_length())}
