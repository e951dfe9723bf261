"""The subjects of an evaluation (snapshots, folders of images) and their reals (datasets, statistics files)."""

import glob
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen import distributed, randomness
from stylegen.checkpoints.find_model import is_shared
from stylegen.checkpoints.snapshot import find_snapshot, load_snapshot
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.downloads import is_url
from stylegen.errors import UserError
from stylegen.features.weights import sha256
from stylegen.former_names import rename_settings
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.fakes import GeneratedImages, NumberedImages, StoredImages
from stylegen.metrics.engine.real_sets import PublishedReals
from stylegen.metrics.engine.requirements import check_network
from stylegen.metrics.engine.statistics_file import read_statistics
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.registry import METRICS
from stylegen.spec import ImageSpec


@dataclass(frozen=True)
class Subject(ABC):
    """Images to evaluate.

    Args:
        name: first column of the table.
        setting: the command-line setting with its value, for messages.
        card: default path of its metric card.
        digest: hash of the snapshot's bytes or the images.
        spec: `ImageSpec` of the images, or of the network's training data.
        resolution: side of the images in pixels; lower than in `spec` for a growing network.
        count: number of images to evaluate.
        info: `info` of a snapshot.
    """

    name: str
    setting: str
    card: Path
    digest: str
    spec: ImageSpec
    resolution: int
    count: int
    info: Mapping[str, Any]

    @property
    def kimg(self) -> float | None:
        """Length of training; None if unknown."""
        seen = self.info.get("images_seen")
        return None if seen is None else seen / 1000

    @abstractmethod
    def check(self, evaluation: Evaluation) -> None:
        """Raise UserError for metrics or settings that these images cannot have."""

    @abstractmethod
    def measure(self, evaluation: Evaluation, *, batch_size: int, per_class: int) -> MetricCard:
        """The metric card; its `sampling` has the digest `Evaluation.question`."""

    @abstractmethod
    def images_for(self, evaluation: Evaluation, batch_size: int) -> NumberedImages:
        """The images to evaluate, by index."""

    def first_images(self, evaluation: Evaluation, count: int, batch_size: int) -> Tensor:
        """The first `count` images, uint8 NCHW on the CPU."""
        return torch.cat(list(self.images_for(evaluation, batch_size).batches(list(range(count))))).cpu()


@dataclass(frozen=True)
class SnapshotSubject(Subject):
    """A generator, loaded for each use to save memory."""

    path: Path

    @classmethod
    def load(cls, path: Path, count: int) -> "SnapshotSubject":
        """Loads the snapshot once, so that a damaged file is refused before the computation."""
        snapshot = load_snapshot(path)
        G = snapshot.generator
        return cls(
            name=path.stem,
            setting=f"snapshot={path.stem}",
            card=Path(f"{path.stem}.metrics.json") if is_shared(path) else path.with_suffix(".metrics.json"),
            digest=sha256(path)[:32],
            spec=ImageSpec(G.resolution, G.channels, G.num_classes),
            resolution=G.level.resolution,
            count=count,
            info=snapshot.info,
            path=path,
        )

    def check(self, evaluation: Evaluation) -> None:
        check_network(evaluation.metrics, evaluation.settings.noise, load_snapshot(self.path).generator)

    def measure(self, evaluation: Evaluation, *, batch_size: int, per_class: int) -> MetricCard:
        labels = evaluation.reals.fingerprint if self.spec.num_classes else ""  # labels are sampled from the dataset
        return evaluation.measure_generator(
            load_snapshot(self.path).on(evaluation.device),
            batch_size=batch_size,
            per_class=per_class,
            sampling={
                **({} if self.kimg is None else {"kimg": self.kimg}),
                "snapshot": self.path.name,
                "snapshot_sha256": self.digest,
                "question": evaluation.question(self.digest, per_class),
            },
            identity=f"{self.digest} {evaluation.settings.protocol.suffix()} {labels}",
        )

    def images_for(self, evaluation: Evaluation, batch_size: int) -> NumberedImages:
        generator = load_snapshot(self.path).on(evaluation.device)
        return GeneratedImages.of(generator, evaluation.reals, evaluation.settings.protocol, batch_size)


@dataclass(frozen=True)
class FolderSubject(Subject):
    """A folder or zip of images, evaluated as stored; a seeded random choice of `count` if there are more."""

    images: ImageDataset
    order: Sequence[int]

    @classmethod
    def load(cls, path: str, num_samples: int) -> "FolderSubject":
        if not Path(path).expanduser().exists():  # the dataset would name data.path
            raise UserError(
                f"images={path} does not exist", rule="images= must be a folder or a .zip", fix="Check the path"
            )
        images = ImageDataset(path)
        count = min(num_samples, images.num_images)
        return cls(
            name=images.name,
            setting=f"images={path}",
            card=Path(f"{Path(path).stem}.metrics.json"),
            digest=images.fingerprint,
            spec=images.spec,
            resolution=images.spec.resolution,
            count=count,
            info={},
            images=images,
            order=list(range(count)) if count == images.num_images else chosen_images(images.num_images, count),
        )

    def check(self, evaluation: Evaluation) -> None: ...  # by `Evaluation.check`

    def measure(self, evaluation: Evaluation, *, batch_size: int, per_class: int) -> MetricCard:
        total = self.images.num_images
        kinds = sorted({Path(key).suffix.lower() for key in self.images.source.keys()})  # noqa: SIM118
        return evaluation.measure(
            StoredImages(self.images, batch_size, list(self.order)),
            sampling={
                "images": self.name,
                "chosen": "all" if self.count == total else f"{self.count} of {total}, keyed by seed 0",
                "fingerprint": self.digest,
                "files": ", ".join(kinds),  # lossy formats change metrics: FID of FFHQ by 6 for JPEG q90
                "quantization": "as stored",
                "question": evaluation.question(self.digest),
            },
            identity=self.digest,
        )

    def images_for(self, evaluation: Evaluation, batch_size: int) -> NumberedImages:
        return StoredImages(self.images, batch_size, list(self.order))

    def first_images(self, evaluation: Evaluation, count: int, batch_size: int) -> Tensor:
        return super().first_images(evaluation, min(count, self.count), batch_size)


def chosen_images(num_images: int, count: int) -> list[int]:
    """Indices of `count` images of a folder in seeded random order: the first ones may belong to one class."""
    return randomness.permutation(num_images, 0, "metrics/images")[:count].tolist()


def find_subjects(snapshot: str | None, images: str | None, num_samples: int) -> list[Subject]:
    """The subjects of `snapshot=` or `images=`; none if both are None."""
    if images is not None:
        return [FolderSubject.load(images, num_samples)]
    paths = [] if snapshot is None else find_snapshots(snapshot)
    return [SnapshotSubject.load(path, num_samples) for path in paths]


def find_snapshots(text: str) -> list[Path]:
    """Files, run folders and patterns, separated by commas; a URL and a path that exists are used literally.

    Raises:
        UserError: a pattern without a match; see `find_snapshot`.
    """
    if is_url(text) or Path(text).expanduser().exists():
        return [find_snapshot(text)]
    found: list[Path] = []
    for part in text.split(","):
        if not glob.has_magic(part) or Path(part).expanduser().exists():
            found.append(find_snapshot(part))
            continue
        matches = sorted(Path(p) for p in glob.glob(str(Path(part).expanduser()), recursive=True))  # noqa: PTH207
        matches = [p for p in matches if p.suffix == ".safetensors"]
        if not matches:
            raise UserError(
                f"snapshot={part}",
                rule="no .safetensors file matches this pattern",
                fix="Use a pattern such as RUN/snapshots/*.safetensors",
            )
        found += matches
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class RealsChoice:
    """The choice of reals.

    Args:
        path, resolution: settings of a dataset; None for the training data of the snapshot.
        mirror: whether training mirrored its images; None to read it from the snapshot.
        statistics: an .npz file instead of a dataset.
    """

    path: str | None = None
    resolution: int | None = None
    mirror: bool | None = None
    statistics: str | None = None

    def open(self, subjects: Sequence[Subject], metrics: Sequence[str], labels: str) -> ImageDataset | PublishedReals:
        """Open the reals; without `path`, all training data of the first subject, even if training used a subset.

        Args:
            labels: see `Protocol`.

        Raises:
            UserError: no reals are given; `statistics` for a conditional generator with labels from the data; an
                unknown `mirror` for a metric that depends on it.
        """
        subject = subjects[0]
        if self.statistics is not None:
            if subject.spec.num_classes and labels == "data":
                raise UserError(
                    f"statistics={self.statistics}",
                    rule="a conditional generator takes its labels from the data, and statistics have none",
                    fix="Add evaluation.labels=uniform, which changes the metric's name",
                )
            return read_statistics(self.statistics, subject.spec)
        mirror = self._mirrored(subject, metrics)
        if self.path is not None:
            resolution = self.resolution
            if resolution is None and self.path == OPENMOJI:
                resolution = subject.spec.resolution
            return ImageDataset(self.path, resolution, use_labels=subject.spec.num_classes > 0, mirror=mirror)
        if "data" not in subject.info:
            raise UserError(
                "data.path is missing",
                rule="no real images to compare with are given",
                fix="Add data.path=FOLDER_OR_ZIP, or data.path=openmoji",
            )
        data = {k: v for k, v in subject.info["data"].items() if k not in ("max_images", "subset_seed")}
        rename_settings({"data": data})
        reals = ImageDataset(**data | {"mirror": mirror})
        for other in subjects if distributed.is_rank0() else ():
            part = other.info.get("data", {}).get("max_images") is not None
            if not part and other.info.get("fingerprint", reals.fingerprint) != reals.fingerprint:
                print(f"note: {reals.name} has changed since the training of {other.name}", file=sys.stderr)
        return reals

    def open_dataset(self) -> ImageDataset:
        """The dataset, for `export` without subjects."""
        if self.path is None:
            raise UserError("data.path is missing", rule="export= writes statistics of a dataset", fix="Add data.path=")
        return ImageDataset(self.path, self.resolution)

    def _mirrored(self, subject: Subject, metrics: Sequence[str]) -> bool:
        mirror = subject.info.get("data", {}).get("mirror") if self.mirror is None else self.mirror
        needs = [i for i in metrics if i in METRICS and METRICS[i].first_reals is not None]
        if mirror is None and needs:
            raise UserError(
                f"metrics={needs[0]} for {subject.name}",
                rule=f"{needs[0]} mirrors its reals if training mirrored its images, which is unknown",
                fix="Add data.mirror=true or data.mirror=false",
            )
        return bool(mirror)


def check_match(subject: Subject, reals: ImageDataset | PublishedReals) -> None:
    """Raises UserError for images or labels that are not comparable with the reals."""
    spec = subject.spec
    if isinstance(subject, FolderSubject):
        spec = replace(spec, num_classes=reals.spec.num_classes)
    if spec != reals.spec:
        raise UserError(
            f"{subject.setting} has {spec}",
            rule=f"{reals.name} has {reals.spec}; different images or labels cannot be compared",
            fix="Use the training data or a dataset like it, or omit data.path",
        )
