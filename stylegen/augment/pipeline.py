"""Pipeline of adaptive discriminator augmentation (Karras et al. 2020a, arXiv 2006.06676).

Every operation is applied to each image independently with the same probability p, in a fixed order. As long as p stays
below about 0.8, augmentations do not leak into generated images (section 3 and appendix C).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from stylegen.augment import bands, blitting, color, corruptions, geometry
from stylegen.augment.affine import compose
from stylegen.augment.augment_inputs import AugmentInputs
from stylegen.augment.warp import warp
from stylegen.bounds import Deviation, Share, check_arguments
from stylegen.errors import unknown_choice

_FAMILIES = {
    "blit": blitting.OPERATIONS,
    "geom": geometry.OPERATIONS,
    "color": color.OPERATIONS,
    "filter": bands.OPERATIONS,
    "noise": ("noise",),
    "cutout": ("cutout",),
}
# Name -> operations: the families, and the paper's cumulative sets (figure 4).
PRESETS: dict[str, tuple[str, ...]] = _FAMILIES | {
    name: tuple(op for family in list(_FAMILIES)[:count] for op in _FAMILIES[family])
    for name, count in (("bg", 2), ("bgc", 3), ("bgcf", 4), ("bgcfn", 5), ("bgcfnc", 6))
}


@dataclass(frozen=True)
class AdaPipeline:
    """Blitting, geometry, color, filtering, noise and cutout, with the strengths of the paper.

    Args:
        preset: blit, geom, color, filter, noise, cutout, or the cumulative sets bg, bgc, bgcf, bgcfn, bgcfnc; or
            names of presets and operations joined by plus: ``blit+color``, ``xflip+hue``.
        xint_max: largest integer translation, as a fraction of the side.
        scale_std: standard deviation of log2 of the isotropic scale.
        rotate_max: largest angle, as a fraction of 180 degrees.
        aniso_std: standard deviation of log2 of the anisotropic scale.
        xfrac_std: standard deviation of the fractional translation, as a fraction of the side.
        brightness_std: standard deviation of the added brightness, for images in [-1, 1].
        contrast_std: standard deviation of log2 of the contrast.
        hue_max: largest rotation of the hue, as a fraction of 180 degrees.
        saturation_std: standard deviation of log2 of the saturation.
        color_multiplier: factor on the probability of the operations on color, 0.5 in R3GAN.
        imgfilter_std: standard deviation of log2 of a band's amplification.
        noise_std: standard deviation of the noise's standard deviation.
        cutout_size: side of the cutout box, as a fraction of the image's.

    Raises:
        UserError: an unknown name in `preset`, or a strength out of bounds.
    """

    preset: str = "bgc"
    xint_max: Share = 0.125
    scale_std: Deviation = 0.2
    rotate_max: Share = 1.0
    aniso_std: Deviation = 0.2
    xfrac_std: Deviation = 0.125
    brightness_std: Deviation = 0.2
    contrast_std: Deviation = 0.5
    hue_max: Share = 1.0
    saturation_std: Deviation = 1.0
    color_multiplier: Share = 1.0
    imgfilter_std: Deviation = 1.0
    noise_std: Deviation = 0.1
    cutout_size: Share = 0.5

    def __post_init__(self) -> None:
        check_arguments("augment", AdaPipeline, vars(self))
        operations_of(self.preset)

    @cached_property
    def operations(self) -> frozenset[str]:
        """Operations of the preset."""
        return operations_of(self.preset)

    @property
    def uses_image_noise(self) -> bool:
        return "noise" in self.operations

    def __call__(self, images: Tensor, p: float, inputs: AugmentInputs) -> Tensor:
        """Augment each image independently.

        Args:
            images: [N, C, H, W] in [-1, 1].
            p: probability of each operation, in [0, 1]; the identity at 0.
            inputs: random numbers of the N images.

        Returns:
            [N, C, H, W], at least float32, not clamped; differentiable to any order with respect to `images`.
        """
        if p == 0:
            return images
        dtype = torch.promote_types(images.dtype, torch.float32)  # rounding to half precision would change every pixel
        with torch.autocast(images.device.type, enabled=False):
            augmented = self._augment(images.to(dtype), p, inputs)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return augmented.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _augment(self, images: Tensor, p: float, inputs: AugmentInputs) -> Tensor:
        height, width = images.shape[2:]
        maps = self._maps(inputs, p, height, width)
        if maps:
            images = warp(images, compose([m.to(images.dtype) for m in maps]))
        if self.operations.intersection(color.OPERATIONS):
            images = color.adjust_color(images, self.operations, inputs, p * self.color_multiplier, self)
        if "imgfilter" in self.operations:
            images = bands.amplify_bands(images, inputs, p, self.imgfilter_std)
        if "noise" in self.operations:
            images = corruptions.add_noise(images, inputs, p, self.noise_std)
        if "cutout" in self.operations:
            images = corruptions.cut_out(images, inputs, p, self.cutout_size)
        return images

    def _maps(self, inputs: AugmentInputs, p: float, height: int, width: int) -> list[Tensor]:
        """Maps from output to input: the last operation is rightmost in their product."""
        return [
            *blitting.blitting_maps(self.operations, inputs, p, height, width, self.xint_max),
            *geometry.geometry_maps(self.operations, inputs, p, height, width, self),
        ]


def operations_of(preset: str) -> frozenset[str]:
    """Operations of a preset, or of names joined by plus.

    Raises:
        UserError: an unknown name.
    """
    names = PRESETS | {operation: (operation,) for family in _FAMILIES.values() for operation in family}
    for name in preset.split("+"):
        if name not in names:
            raise unknown_choice("augment.preset", name, names)
    return frozenset(operation for name in preset.split("+") for operation in names[name])
