"""The settings of `evaluate` and `sensitivity`, and of the evaluations during training."""

from dataclasses import dataclass

from stylegen.bounds import Count, Device, FilePath, Kimg, Names, Range, Share, setting
from stylegen.config.sections import Arguments, group
from stylegen.errors import UserError
from stylegen.metrics.protocol.evaluation_settings import EvaluationSettings


@dataclass(frozen=True, kw_only=True)
class TrainingEvaluation(EvaluationSettings):
    """Evaluation during training."""

    metrics: list[str] = setting(["fid"], Names(), help="metric ids; an empty list evaluates nothing")
    num_samples: int = setting(50000, Range(1, 100000000), help="generated images per evaluation")
    every_kimg: Kimg = setting(0.0, help="interval of evaluations; 0 for the end only")
    max_share: Share = setting(
        0.5,
        help="largest share of the run's time for evaluations between the first and the last; 1 for no limit",
    )


@dataclass(frozen=True)
class EvaluateData:
    """The real images of an evaluation."""

    path: FilePath | None = setting(None, help="a folder, a zip, or openmoji; null for the snapshot's training data")
    resolution: int | None = setting(None, Range(8, 2048), help="resolution of openmoji; null for the snapshot's")
    mirror: bool | None = setting(
        None,
        help="whether training mirrored its images; fid50k, kid50k and pr50k3 then mirror the reals; "
        "null reads it from the snapshot",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """`python -m stylegen evaluate`."""

    snapshot: FilePath | None = setting(
        None,
        help="a .safetensors file, a run folder (its newest), or several: a pattern such as "
        "runs/x/snapshots/*.safetensors, or names separated by commas",
    )
    images: FilePath | None = setting(None, help="a folder or zip of images to evaluate in place of a snapshot")
    metrics: list[str] | None = setting(
        None,
        Names(),
        help="metric ids; null for fd_efficientnet_lite0 and prdc_efficientnet_lite0, or fd_random_vgg16 and "
        "prdc_random_vgg16 if the package with the weights is not installed",
    )
    num_samples: int | None = setting(
        None,
        Range(1, 100000000),
        help="generated images; null for the number in a metric's name, and 5,000 otherwise",
    )
    statistics: FilePath | None = setting(
        None, help="an .npz file of mu and sigma in place of real images, for Frechet distances"
    )
    export: FilePath | None = setting(
        None, help="write mu and sigma of the reals to this .npz file, for the first metric's features"
    )
    per_class: int = setting(
        0, Range(0, 100000000), help="samples per class for per-class metrics of a conditional model; 0 for none"
    )
    neighbors: int = setting(0, Range(0, 4096), help="number of samples in a figure with their nearest real images")
    spectrum: bool = setting(
        False, help="also measure the average power spectra of the images and the real images: a figure and slices"
    )
    out: FilePath | None = setting(
        None,
        help="the metric card; null writes it beside the snapshot, or to the current folder for images. For several "
        "snapshots: the folder of the table and plot; null for their run folder",
    )
    again: bool = setting(False, help="repeat evaluations that already have a card with the same settings")
    batch_size: Count | None = setting(None, help="images per batch of the generator; null for 64, fewer above 512 px")
    devices: int = setting(1, Range(1, 1024), help="processes on this machine; torchrun's are used as they are")
    device: Device = setting("auto", help="device of each process")
    data: EvaluateData = group(EvaluateData)
    evaluation: EvaluationSettings = group(EvaluationSettings)

    def check(self) -> None:
        """Raises UserError for conflicting settings."""
        named = self.snapshot is not None, self.images is not None
        if all(named) or not (any(named) or self.export is not None):
            raise UserError(
                f"snapshot={self.snapshot} images={self.images}" if any(named) else "snapshot and images are missing",
                rule="evaluate takes one of the two",
                fix="Give snapshot=RUN_OR_FILE, or images=FOLDER_OR_ZIP",
            )
        if self.images is not None and self.per_class:
            raise UserError(
                f"per_class={self.per_class} with images=",
                rule="per-class metrics need a conditional model",
                fix="Give snapshot= instead",
            )


@dataclass(frozen=True)
class SensitivityData:
    """The images to degrade."""

    path: FilePath | None = setting(None, help="a folder, a zip, or openmoji; null for openmoji")
    resolution: int | None = setting(None, Range(8, 2048), help="resolution of openmoji; null for its default")


@dataclass(frozen=True, kw_only=True)
class SensitivitySettings:
    """`python -m stylegen sensitivity`."""

    metrics: list[str] | None = setting(None, Names((1, 1024)), help="metric ids; null for all that need no download")
    num_images: int = setting(10000, Range(8, 10000), help="maximum number of real images to degrade, chosen at random")
    use_labels: bool = setting(False, help="read the dataset's classes, so that a degradation can drop some")
    out: FilePath | None = setting(None, help="a Markdown file; null prints the tables")
    device: Device = setting("auto", help="device of the feature extractors")
    data: SensitivityData = group(SensitivityData)
    evaluation: Arguments = group(EvaluationSettings, without=("truncation_psi", "noise", "labels"))
