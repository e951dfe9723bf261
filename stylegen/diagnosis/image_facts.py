"""Measures training images and samples: repetitions, classes, and distances among images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.data.dataset import ImageDataset
from stylegen.data.metadata import image_digest
from stylegen.diagnosis.evidence import DataFacts, SampleFacts
from stylegen.latent.sample_labels import RandomLabels, one_class
from stylegen.latent.sampler import Sampler
from stylegen.one_hot import OneHot, members

SIDE = 16  # pixels: positions, colors and shapes, without the sharpness that a young network lacks
MAX_BYTES = 2**30  # of images that are decoded to find repetitions, where no digests are stored
BATCH = 32  # images in memory at full resolution
PER_CLASS = 64  # images of each class
MAX_CLASSES = 16


def data_facts(data: ImageDataset, whole: bool) -> DataFacts:
    """Number, repetitions and classes of the training images.

    Args:
        whole: the run uses all images of the source, so that the source's digests and names belong to them.
    """
    digests = data.source.digests() if whole else None
    numbers: Sequence[int] = range(data.num_images)
    if digests is None:
        size = data.spec.channels * data.spec.resolution**2
        count = min(data.num_images, max(MAX_BYTES // size, 1))
        numbers = sorted(randomness.permutation(data.num_images, 0, "diagnosis/digests")[:count].tolist())
        digests = [image_digest(data.batch([i])[0][0].cpu().numpy()) for i in numbers]
    first: dict[str, int] = {}
    pairs = [(first[d], i) for i, d in zip(numbers, digests, strict=True) if first.setdefault(d, i) != i]
    keys = data.source.keys()
    return DataFacts(
        num_images=data.num_images,
        checked=len(digests),
        repeated=len(pairs),
        effective=effective_number(Counter(digests).values()),
        example=(keys[pairs[0][0]], keys[pairs[0][1]]) if pairs and whole else None,
        class_counts=class_counts(data.labels()),
        class_names=data.class_names if data.spec.num_classes else None,
    )


def effective_number(copies: Iterable[int]) -> float:
    """(sum c)^2 / sum c^2, from 1 for one image to n for n different ones."""
    copies = list(copies)
    return sum(copies) ** 2 / sum(c * c for c in copies)


def class_counts(labels: Tensor | OneHot) -> list[int]:
    """Images of each class; empty for vectors of attributes and without labels."""
    if not isinstance(labels, OneHot):
        return []
    counts = Counter(labels.indices.tolist())
    return [counts[label] for label in range(labels.num_classes)]


def shrunk(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] -> float32 [N, C * 16 * 16]: block means in gray levels; small images unchanged."""
    images = images.float()
    return (functional.adaptive_avg_pool2d(images, SIDE) if images.shape[-1] > SIDE else images).flatten(1)


def distances(vectors: Tensor) -> Tensor:
    """[N, D] -> root mean square differences of all pairs, [N, N]."""
    return torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist") / vectors.shape[1] ** 0.5


def mean_distance(vectors: Tensor) -> float:
    """Mean of `distances` over pairs of different rows; 0 for less than two."""
    count = len(vectors)
    return distances(vectors).sum().item() / (count * (count - 1)) if count > 1 else 0.0


def nearest_distance(vectors: Tensor) -> float:
    """Median over rows of the distance from the nearest other row; 0 for less than two."""
    if len(vectors) < 2:
        return 0.0
    return distances(vectors).fill_diagonal_(float("inf")).min(dim=1).values.median().item()


class Diversity:
    """Distances among samples, relative to the training images.

    A generator that equals the data samples them with replacement: 128 draws from fewer than 512 images repeat some.
    So `nearest` compares at most a quarter as many samples as there are images and mirror images.

    Args:
        data: the training images.
        count: samples to generate, and images to compare them with.
        device: GPU or CPU that runs the generator.
    """

    def __init__(self, data: ImageDataset, count: int, device: torch.device) -> None:
        self.data, self.count, self.device = data, count, device
        order = randomness.permutation(len(data), 0, "diagnosis/reals")[:count]
        self.reals = _reals(data, order)
        self.few = max(min(len(data) // 4, count, 128), 2)
        self.labels = data.labels()

    def measure(self, path: Path) -> SampleFacts:
        """The facts of one snapshot; samples use seeds 0, 1, ... and no truncation.

        Raises:
            UserError: a damaged snapshot.
        """
        snapshot = load_snapshot(path)
        labels = RandomLabels(self.labels) if self.data.spec.num_classes else None
        sampler = Sampler(snapshot.on(self.device), labels=labels, batch_size=BATCH)
        fakes = _fakes(sampler, self.count)
        return SampleFacts(
            kimg=snapshot.info.get("images_seen", 0) / 1000,
            spread=_ratio(mean_distance(fakes), mean_distance(self.reals)),
            nearest=_ratio(nearest_distance(fakes[: self.few]), nearest_distance(self.reals[: self.few])),
        )

    def measure_classes(self, path: Path, counts: Sequence[int]) -> dict[int, float]:
        """Class -> mean distance of its samples, relative to its images; of the first 16 classes with images."""
        generator = load_snapshot(path).on(self.device)
        found = {}
        for label in [label for label, count in enumerate(counts) if count > 1][:MAX_CLASSES]:
            real = _reals(self.data, members(self.labels, label)[:PER_CLASS])
            fake = _fakes(
                Sampler(generator, labels=one_class(label, generator.num_classes), batch_size=BATCH), PER_CLASS
            )
            found[label] = _ratio(mean_distance(fake), mean_distance(real))
        return found


def _reals(data: ImageDataset, indices: Tensor) -> Tensor:
    return torch.cat([shrunk(data.batch(part)[0].cpu()) for part in indices.split(BATCH)])


def _fakes(sampler: Sampler, count: int) -> Tensor:
    return torch.cat([shrunk(images.cpu()) for images in sampler.batches(list(range(count)))])


def _ratio(fakes: float, reals: float) -> float:
    return fakes / reals if reals > 0 else 1.0  # images that are all the same are found by their digests
