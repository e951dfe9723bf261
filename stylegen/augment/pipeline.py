"""The augmentation pipeline of adaptive discriminator augmentation (Karras et al. 2020a, arXiv 2006.06676).

Every operation applies to every picture by itself with the same probability p, in a fixed order. As long as p stays
below about 0.8, the generator cannot profit from drawing augmented pictures (section 3 and appendix C).
"""

import torch
from torch import Tensor

from stylegen.augment import bands, blitting, color, cutout, geometry, image_noise
from stylegen.augment.affine import compose
from stylegen.augment.augment_inputs import AugmentDraws
from stylegen.augment.warp import warp
from stylegen.bounds import Deviation, Share, check_arguments
from stylegen.errors import unknown_choice

_FAMILIES = {
    "blit": blitting.OPERATIONS,
    "geom": geometry.OPERATIONS,
    "color": color.OPERATIONS,
    "filter": bands.OPERATIONS,
    "noise": image_noise.OPERATIONS,
    "cutout": cutout.OPERATIONS,
}
# Name -> operations: the families, and the paper's cumulative sets (figure 4), which take in one more each.
PRESETS: dict[str, tuple[str, ...]] = _FAMILIES | {
    name: tuple(op for family in list(_FAMILIES)[:count] for op in _FAMILIES[family])
    for name, count in (("bg", 2), ("bgc", 3), ("bgcf", 4), ("bgcfn", 5), ("bgcfnc", 6))
}


class AdaPipeline:
    """Blitting, geometry, colour, filtering, noise and cutout, with the strengths of the paper.

    Args:
        preset: blit, geom, color, filter, noise, cutout, or the sums bg, bgc, bgcf, bgcfn, bgcfnc; also names joined by
            plus, of presets and of single operations: ``blit+color``, ``xflip+hue``.
        xint_max: largest shift by whole pixels, as a share of the side.
        scale_std: standard deviation of log2 of the scale.
        rotate_max: largest angle, as a share of 180 degrees.
        aniso_std: standard deviation of log2 of the stretch.
        xfrac_std: standard deviation of the shift, as a share of the side.
        brightness_std: standard deviation of the brightness added; pictures lie in [-1, 1].
        contrast_std: standard deviation of log2 of the contrast.
        hue_max: largest rotation of the hue, as a share of 180 degrees.
        saturation_std: standard deviation of log2 of the saturation.
        imgfilter_std: standard deviation of log2 of a band's amplification.
        noise_std: standard deviation of the noise's standard deviation.
        cutout_size: side of the box that is cut out, as a share of the picture's.

    Raises:
        UserError: a name in `preset` that is none, or a strength outside its bounds.
    """

    def __init__(
        self,
        preset: str = "bgc",
        xint_max: Share = 0.125,
        scale_std: Deviation = 0.2,
        rotate_max: Share = 1.0,
        aniso_std: Deviation = 0.2,
        xfrac_std: Deviation = 0.125,
        brightness_std: Deviation = 0.2,
        contrast_std: Deviation = 0.5,
        hue_max: Share = 1.0,
        saturation_std: Deviation = 1.0,
        imgfilter_std: Deviation = 1.0,
        noise_std: Deviation = 0.1,
        cutout_size: Share = 0.5,
    ) -> None:
        check_arguments("augment", AdaPipeline, locals())
        self.operations = operations_of(preset)
        self.xint_max = xint_max
        self.geometry_strengths = (scale_std, rotate_max, aniso_std, xfrac_std)
        self.color_strengths = (brightness_std, contrast_std, hue_max, saturation_std)
        self.imgfilter_std, self.noise_std, self.cutout_size = imgfilter_std, noise_std, cutout_size

    def __call__(self, images: Tensor, p: float, draws: AugmentDraws) -> Tensor:
        """Augment each picture by itself.

        Args:
            images: [N, C, H, W] in [-1, 1].
            p: probability of each operation, in [0, 1]; at 0 the pictures are returned as they are.
            draws: the random numbers of the N pictures.

        Returns:
            [N, C, H, W], at least float32, not clamped; differentiable to any order with respect to `images`.
        """
        if p == 0:
            return images
        dtype = torch.promote_types(images.dtype, torch.float32)  # half precision would show in every pixel
        with torch.autocast(images.device.type, enabled=False):
            augmented = self._augment(images.to(dtype), p, draws)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return augmented.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _augment(self, images: Tensor, p: float, draws: AugmentDraws) -> Tensor:
        maps = self._maps(draws, p, *images.shape[2:])
        if maps:
            images = warp(images, compose([m.to(images.dtype) for m in maps]))
        if self.operations.intersection(color.OPERATIONS):
            images = color.adjust_color(images, self.operations, draws, p, *self.color_strengths)
        if "imgfilter" in self.operations:
            images = bands.amplify_bands(images, draws, p, self.imgfilter_std)
        if "noise" in self.operations:
            images = image_noise.add_noise(images, draws, p, self.noise_std)
        if "cutout" in self.operations:
            images = cutout.cut_out(images, draws, p, self.cutout_size)
        return images

    def _maps(self, draws: AugmentDraws, p: float, height: int, width: int) -> list[Tensor]:
        """From the output back to the input: the last operation stands rightmost in the product, applied first."""
        return [
            *blitting.blitting_maps(self.operations, draws, p, height, width, self.xint_max),
            *geometry.geometry_maps(self.operations, draws, p, height, width, *self.geometry_strengths),
        ]


def operations_of(preset: str) -> frozenset[str]:
    """The operations that a preset, or a sum of names, stands for.

    Raises:
        UserError: an unknown name.
    """
    names = PRESETS | {operation: (operation,) for family in _FAMILIES.values() for operation in family}
    for name in preset.split("+"):
        if name not in names:
            raise unknown_choice("augment.preset", name, names)
    return frozenset(operation for name in preset.split("+") for operation in names[name])
