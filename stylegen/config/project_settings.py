"""Settings of `python -m stylegen project`."""

from dataclasses import dataclass

from stylegen.bounds import REQUIRED, Choice, Count, Device, FilePath, Range, setting
from stylegen.config.sections import inline
from stylegen.latent.projection import ProjectionOptions


@dataclass(frozen=True, kw_only=True)
class ProjectSettings:
    """`python -m stylegen project`."""

    images: FilePath = setting(REQUIRED, help="an image, or a folder or archive of images")
    snapshot: FilePath = setting("portraits64", help="the generator, as in `sample`")
    out: FilePath = setting("projected", help="a new folder for latents, images, a strip and errors")
    space: str = setting(
        "w+",
        Choice(("w", "w+", "pivotal")),
        help="one w for all layers; one for each; or one, with a generator that is trained to give the images",
    )
    label: str | None = setting(
        None, help="class whose mean w is the start, also written class=; null for the mean of all"
    )
    distance: str = setting(
        "auto",
        Choice(("auto", "lpips", "random")),
        help="perceptual distance: LPIPS, or the same formula on a random VGG16; auto: LPIPS if its weights are there",
    )
    pixel_weight: float = setting(1.0, Range(0, 1e6), help="weight of the multi-scale pixel loss")
    weights: FilePath | None = setting(None, help="folder with the weights of LPIPS")
    crop: str | None = setting(
        None,
        Choice(("center", "center-wide", "pad", "none")),
        help="how images become squares, as in `prepare`; null: as the training images, or center",
    )
    align: FilePath | None = setting(
        None, help="a .csv file with five landmarks of each face, for FFHQ's alignment in place of crop"
    )
    max_images: Count = setting(64, help="maximum number of images; the first ones are projected")
    batch_size: Count = setting(4, help="images at a time")
    device: Device = setting("auto", help="device of the generator")
    options: ProjectionOptions = inline(ProjectionOptions)
