"""Resolution, channels and number of classes of a dataset and its networks."""

from dataclasses import dataclass

from stylegen.errors import UserError

MIN_RESOLUTION, MAX_RESOLUTION = 8, 2048


def is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def power_of_two_below(side: int) -> int:
    """The largest resolution of at most `side`, from 8 to 2048."""
    return min(max(1 << (side.bit_length() - 1), MIN_RESOLUTION), MAX_RESOLUTION)


@dataclass(frozen=True)
class ImageSpec:
    """Shape of an image and its label.

    Args:
        resolution: side of the square image in pixels; a power of two from 8 to 2048.
        channels: 1 (gray), 2, 3 (RGB) or 4 (RGBA).
        num_classes: width of the label vector; 0 for no labels.

    Raises:
        UserError: a value out of range.
    """

    resolution: int
    channels: int = 3
    num_classes: int = 0

    def __post_init__(self) -> None:
        if not (is_power_of_two(self.resolution) and MIN_RESOLUTION <= self.resolution <= MAX_RESOLUTION):
            raise UserError(
                f"resolution={self.resolution}",
                rule=f"must be a power of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
                fix="Resize the images to a power of two",
            )
        if not 1 <= self.channels <= 4:
            raise UserError(
                f"channels={self.channels}",
                rule="images must have 1 to 4 channels",
                fix="Convert the images to gray (1), RGB (3) or RGBA (4)",
            )
        if self.num_classes < 0:
            raise UserError(
                f"num_classes={self.num_classes}",
                rule="must be at least 0",
                fix="Use num_classes=0 for an unconditional model",
            )
