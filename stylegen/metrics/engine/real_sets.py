"""Variants of a dataset as reals: published statistics, mirror images, the first N, one class, a lower resolution."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.formulas.frechet import Moments
from stylegen.one_hot import OneHot, members
from stylegen.spec import ImageSpec


@dataclass(frozen=True)
class PublishedReals:
    """Mean and covariance of real images, from a file.

    Args:
        spec: `ImageSpec` of the images to compare with.
        name, fingerprint: the file's name, and a hash of its content.
        mean: float64 [dim]; covariance: float64 [dim, dim], divided by N - 1.
        record: stylegen's description of the file's origin; None for files of other software.
    """

    spec: ImageSpec
    name: str
    fingerprint: str
    mean: Tensor
    covariance: Tensor
    record: Mapping[str, Any] | None = None

    @property
    def num_images(self) -> int:
        """0 if unknown."""
        return int((self.record or {}).get("num_images", 0))

    @property
    def suffix(self) -> str:
        return "" if self.record is not None else "_foreign-statistics"

    def check_extractor(self, name: str, weights_id: str, dim: int) -> None:
        """Raises UserError if the file has statistics of other features."""
        record = self.record or {}
        rule = None
        if len(self.mean) != dim:
            rule = f"it describes {len(self.mean)} features, and {name} has {dim}"
        elif record.get("extractor", name) != name:
            rule = f"it describes features of {record['extractor']}, not of {name}"
        elif record.get("weights_id", weights_id) != weights_id:
            rule = f"it was made with other weights of {name} ({record['weights_id']}, not {weights_id})"
        if rule is not None:
            fix = "Use the metric of the file's extractor, or export the statistics again"
            raise UserError(f"statistics={self.name}", rule=rule, fix=fix)

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        raise UserError(
            f"statistics={self.name}", rule="statistics have no images", fix="Use data.path= instead of statistics="
        )

    def moments(self) -> Moments:
        """Moments with this mean and covariance (ddof 1); their count is arbitrary."""
        return Moments.of(2, self.mean, self.covariance)  # scatter / (2 - 1)


class _DerivedReals:
    """Images made from a dataset.

    Args:
        mark: suffix of the fingerprint, one for each derivation.
    """

    def __init__(self, reals: RealImages, num_images: int, mark: str) -> None:
        self.inner, self.num_images, self._mark = reals, num_images, mark
        self.spec, self.name, self.suffix = reals.spec, reals.name, suffix_of(reals)

    @property
    def fingerprint(self) -> str:
        return f"{self.inner.fingerprint}{self._mark}"


class MirroredReals(_DerivedReals):
    """A dataset and its mirror images, left to right."""

    def __init__(self, reals: RealImages) -> None:
        if isinstance(reals, PublishedReals):
            raise UserError(
                "evaluation.mirror_reals=true",
                rule="statistics have no images to mirror",
                fix="Omit it, or set data.path= instead of statistics=",
            )
        super().__init__(reals, 2 * reals.num_images, "-mirrored")

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        images, labels = self.inner.batch(indices % self.inner.num_images)
        flipped = (indices >= self.inner.num_images).to(images.device)
        return torch.where(flipped[:, None, None, None], images.flip(-1), images), labels


class FirstReals(_DerivedReals):
    """The reals of `fid50k`, `kid50k` and `pr50k3`: the first `count` images in the dataset's order.

    A smaller dataset is repeated, as in the published code (CelebA-HQ has 30,000 images). If the training mirrored its
    images, each of the `count` is mirrored with probability 1/2, keyed by (0, its index); the published
    code chooses different ones for each cache of statistics.

    Args:
        reals: the dataset.
        mirror: whether the training mirrored its images.
    """

    def __init__(self, reals: RealImages, count: int, mirror: bool) -> None:
        super().__init__(reals, count, f"-first{count}{'-random-mirror' if mirror else ''}")
        self.mirror = mirror

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        images, labels = self.inner.batch(indices % self.inner.num_images)
        if self.mirror:
            flipped = randomness.uniform(0, "metrics/mirror", indices).to(images.device) < 0.5
            images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        return images, labels

    @property
    def repeats(self) -> bool:
        """Whether some images occur more than once, so that the two halves of the reals share images."""
        return self.num_images > self.inner.num_images

    def describe(self) -> str:
        """Text for the card."""
        again = ", from the start again at its end" if self.repeats else ""
        mirrored = "each mirrored with probability 1/2 (keyed, seed 0)" if self.mirror else "unmirrored"
        return f"the first {self.num_images} images in the dataset's order{again}, {mirrored}"


class ClassReals(_DerivedReals):
    """The images of one class.

    Args:
        labels: [num_images, num_classes], of all images.
        label: index of the class.
        class_name: its name.
    """

    def __init__(self, reals: RealImages, labels: Tensor | OneHot, label: int, class_name: str) -> None:
        self.numbers, self.label = members(labels, label), label
        super().__init__(reals, len(self.numbers), f"-class{label}")
        self.name = f"{reals.name} class {class_name}"

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        return self.inner.batch(self.numbers[indices])


class ReducedReals(_DerivedReals):
    """A dataset at a lower resolution, as in progressive growing: means of blocks of pixels, rounded to uint8."""

    def __init__(self, reals: RealImages, resolution: int) -> None:
        super().__init__(reals, reals.num_images, f"_{resolution}px")
        self.spec = replace(reals.spec, resolution=resolution)
        self.name, self.suffix = f"{reals.name} at {resolution} px", f"_{resolution}px"
        self.class_names = getattr(reals, "class_names", None)

    def labels(self) -> Tensor | OneHot:
        return self.inner.labels()  # type: ignore[attr-defined]

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        images, labels = self.inner.batch(indices)
        means = functional.avg_pool2d(images.float(), images.shape[-1] // self.spec.resolution)
        return means.round().to(torch.uint8), labels


def suffix_of(reals: RealImages) -> str:
    """Suffix of metric names for these reals: a reduced resolution, or foreign statistics."""
    return getattr(reals, "suffix", "")


def mirrors(reals: RealImages) -> bool:
    """Whether training mirrored these images: `mirror` of the dataset."""
    inner = getattr(reals, "inner", None)
    return bool(getattr(reals, "mirror", False)) if inner is None else mirrors(inner)


def describe_reals(reals: RealImages) -> str:
    """Description of the images for the card."""
    if isinstance(reals, PublishedReals):
        record = reals.record
        if record is None:
            return "statistics of a file without a record of their origin; its images are not known"
        return f"statistics of all {reals.num_images} images of {record.get('dataset', 'a dataset')}, made by stylegen"
    if isinstance(reals, FirstReals):
        return reals.describe()
    if isinstance(reals, MirroredReals):
        return "all images of the dataset, and their mirror images"
    return "all images of the dataset, unmirrored"


def at_resolution(reals: RealImages, resolution: int) -> RealImages:
    """The reals at the current resolution of a growing network; unchanged at full resolution.

    Raises:
        UserError: published statistics, which cannot be reduced.
    """
    if resolution >= reals.spec.resolution:
        return reals
    if isinstance(reals, PublishedReals):
        raise UserError(
            f"statistics={reals.name} for a network at {resolution} px",
            rule=f"statistics of images of {reals.spec.resolution} px cannot be reduced",
            fix="Use data.path= instead of statistics=",
        )
    return ReducedReals(reals, resolution)


def attributes_of(reals: Any) -> Tensor | None:
    """bool [num_images, K]: the labels of the images, also if the model is unconditional; None without labels.

    A class is an attribute that its images have and all others lack. An entry of a vector is one where it is above 0.
    """
    if isinstance(reals, MirroredReals | ReducedReals | ClassReals):
        inner = attributes_of(reals.inner)
        if inner is None or isinstance(reals, ReducedReals):
            return inner
        return inner[reals.numbers] if isinstance(reals, ClassReals) else inner.repeat(2, 1)
    labels = reals.stored_labels() if hasattr(reals, "stored_labels") else None
    if labels is None:
        return None
    if isinstance(labels, OneHot):
        return labels.indices[:, None] == torch.arange(labels.num_classes)
    return labels > 0


def names_of_classes(reals: Any, count: int) -> list[str]:
    """A different name for each class or attribute."""
    while (names := getattr(reals, "class_names", None)) is None and hasattr(reals, "inner"):
        reals = reals.inner
    names = names or [str(k) for k in range(count)]
    return names if len(set(names)) == len(names) else [f"{k} {name}" for k, name in enumerate(names)]


def reals_by_class(reals: Any) -> dict[str, ClassReals]:
    """The images of each non-empty class, by class name."""
    labels = reals.labels()
    names = names_of_classes(reals, labels.shape[1])
    return {names[k]: ClassReals(reals, labels, k, names[k]) for k in range(labels.shape[1]) if len(members(labels, k))}
