"""Settings of `python -m stylegen directions`."""

from dataclasses import dataclass

from stylegen.bounds import REQUIRED, Choice, Count, Device, FilePath, Range, setting
from stylegen.config.sections import group, inline
from stylegen.errors import UserError
from stylegen.latent.labeled_directions import LabelOptions


@dataclass(frozen=True)
class DirectionData:
    """A labeled dataset whose classes are examples."""

    path: FilePath | None = setting(
        None, help="a labeled dataset, or openmoji; positive and negative are then classes of it"
    )


@dataclass(frozen=True, kw_only=True)
class DirectionsSettings:
    """`python -m stylegen directions`."""

    snapshot: FilePath = setting("portraits64", help="the generator, as in `sample`")
    out: FilePath = setting(REQUIRED, help="a new .safetensors file")
    method: str = setting(
        "sefa",
        Choice(("sefa", "pca", "boundary")),
        help="sefa: singular vectors of the style layers' weights; pca: principal components of sampled w; boundary: "
        "between the images of positive and of negative",
    )
    count: Count = setting(10, help="sefa, pca: number of directions")
    layers: str = setting(
        "all",
        help="styles that are moved, and whose weights sefa factorizes: coarse, middle, fine, all, or numbers",
        quoted=True,
    )
    positive: str | None = setting(
        None,
        help="boundary: a folder or archive of images, an .npz of latents, or a class of a conditional network; with "
        "data.path, classes of the dataset",
        quoted=True,
    )
    negative: str | None = setting(None, help="boundary: the other side, as positive", quoted=True)
    label: str | None = setting(None, help="class of the sampled w, also written class=; null for all", quoted=True)
    truncation_psi: float = setting(0.7, Range(-100, 100), help="psi of the sampled images")
    w_samples: int = setting(
        10_000, Range(10, 1_000_000), help="number of w for principal components and standard deviations"
    )
    num_samples: int = setting(32, Range(2, 4096), help="seeds whose change along the directions is measured")
    strengths: list[float] = setting(
        [-2.0, -1.0, 1.0, 2.0], Range(-100, 100), help="strengths of the measured moves, in standard deviations of w"
    )
    extractor: str = setting(
        "auto",
        Choice(("auto", "efficientnet_lite0", "random_vgg16")),
        help="features of the measure and the classifier; auto: efficientnet_lite0 if its weights are there",
    )
    weights: FilePath | None = setting(None, help="folder with the weights of extractors")
    batch_size: Count = setting(16, help="images at a time")
    device: Device = setting("auto", help="device of the generator")
    data: DirectionData = group(DirectionData)
    options: LabelOptions = inline(LabelOptions)

    def check(self) -> None:
        """Raises UserError for conflicting settings."""
        sides = {"positive": self.positive, "negative": self.negative}
        missing = [name for name, value in sides.items() if value is None]
        if self.method == "boundary" and missing:
            raise UserError(
                f"method=boundary without {missing[0]}",
                rule="a boundary is between two sets of images",
                fix="Use positive=FOLDER negative=FOLDER, or data.path=DATASET positive=CLASS negative=CLASS",
            )
        given = [name for name in sides if name not in missing] + ["data.path"] * (self.data.path is not None)
        if self.method != "boundary" and given:
            raise UserError(
                f"method={self.method} with {given[0]}",
                rule=f"{self.method} finds directions without examples",
                fix="Use method=boundary",
            )
        if not self.out.endswith(".safetensors"):
            raise UserError(
                f"out={self.out}", rule="must be one .safetensors file", fix=f"Use out={self.out}.safetensors"
            )
