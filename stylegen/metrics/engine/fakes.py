"""The images to evaluate, by index, so that processes can share the work and an evaluation can be continued.

Generated images follow the protocol of StyleGAN2-ADA: psi 1, random noise, labels sampled from the dataset.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from stylegen.features import PairDistance, SquaredError, ieee_float32
from stylegen.latent import seeds
from stylegen.latent.sample_labels import RandomLabels, one_class
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.formulas.equivariance import Motion, motion_errors
from stylegen.metrics.formulas.perceptual_path_length import Walk, path_distances
from stylegen.metrics.protocol.evaluation_settings import Protocol as EvaluationProtocol
from stylegen.networks import StyleGenerator

_MAX_BATCH = 64
_BATCH_PIXELS = 2**24  # 32 channels in float32 at the image's resolution then take at most 2 GiB


def default_batch_size(resolution: int) -> int:
    """Images per batch of a generator that fit beside a training: 64, fewer above 512 px."""
    return min(_MAX_BATCH, max(1, _BATCH_PIXELS // resolution**2))


@runtime_checkable
class NumberedImages(Protocol):
    """Images by index; image i depends on i only."""

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """Batches of uint8 [n, C, H, W] with these indices, in order."""
        ...


@runtime_checkable
class WalkableImages(NumberedImages, Protocol):
    """Images of a generator, with paths through its latent space and motions of its input."""

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        """Batches of float32 [n, 1]; see `formulas.perceptual_path_length`."""
        ...

    def motion_errors(self, motion: Motion, numbers: list[int], error: SquaredError) -> Iterator[Tensor]:
        """Batches of float32 [n, 2]; see `formulas.equivariance`."""
        ...

    def latents(self, numbers: list[int]) -> dict[str, Tensor]:
        """ "z" and "w" of the images with these indices, float32 [n, dim] on the CPU."""
        ...


class StoredImages:
    """The images of a dataset in a given order.

    Args:
        images: the dataset.
        batch_size: images per batch.
        order: indices of the images to use; by default all, in order.
    """

    def __init__(self, images: RealImages, batch_size: int, order: list[int] | None = None) -> None:
        self.images, self.batch_size = images, batch_size
        self.order = list(range(images.num_images)) if order is None else order

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """See `NumberedImages`."""
        for start in range(0, len(numbers), self.batch_size):
            chosen = [self.order[i] for i in numbers[start : start + self.batch_size]]
            yield self.images.batch(torch.tensor(chosen))[0]


class ImageStream:
    """Batches of images that can be read once, in order: for a single process, without continuation."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self._batches = batches

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """The next `len(numbers)` images."""
        left = len(numbers)
        for batch in self._batches:
            yield batch[:left]
            left -= len(batch)
            if left <= 0:
                return


class GeneratedImages:
    """The images of a generator.

    Args:
        sampler: generates image i from seed i.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    @classmethod
    def of(
        cls,
        generator: StyleGenerator,
        reals: Any,
        protocol: EvaluationProtocol,
        batch_size: int = 16,
        label: int | None = None,
    ) -> "GeneratedImages":
        """Images according to the protocol, of one class if `label` is given. Labels are sampled from `reals`."""
        uniform = protocol.labels == "uniform" or generator.num_classes == 0
        labels = None if uniform else RandomLabels(reals.labels())
        return cls(
            Sampler(
                generator,
                protocol.truncation_psi,
                noise=protocol.noise,
                labels=labels if label is None else one_class(label, generator.num_classes),
                batch_size=batch_size,
            )
        )

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """See `NumberedImages`.

        The last batch is padded: rounding in convolutions depends on the batch size, and images must not depend on the
        number of processes.
        """
        for part, padded in self._padded(numbers):
            with ieee_float32(self.sampler.device):
                images = self.sampler.images(padded)
            yield images[: len(part)]

    def latents(self, numbers: list[int]) -> dict[str, Tensor]:
        """See `WalkableImages`; w before truncation. They follow from the indices, so none are kept with the images."""
        G = self.sampler.generator
        zs, ws = [torch.empty(0, G.z_dim)], [torch.empty(0, G.w_dim)]
        for part, padded in self._padded(numbers):
            with ieee_float32(self.sampler.device):
                w = self.sampler.ws(padded)[: len(part), 0]
            zs.append(seeds.latents(part, G.z_dim))
            ws.append(w.float().cpu())
        return {"z": torch.cat(zs), "w": torch.cat(ws)}

    def _padded(self, numbers: list[int]) -> Iterator[tuple[list[int], list[int]]]:
        """Batches of indices, and the same filled up to the batch size."""
        size = self.sampler.batch_size
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            yield part, part + part[-1:] * (size - len(part))

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        """See `WalkableImages`."""
        return path_distances(
            self.sampler.generator,
            self.sampler.labels.table,
            walk=walk,
            numbers=numbers,
            batch_size=self.sampler.batch_size,
            distance=distance,
        )

    def motion_errors(self, motion: Motion, numbers: list[int], error: SquaredError) -> Iterator[Tensor]:
        """See `WalkableImages`."""
        return motion_errors(
            self.sampler.generator,
            self.sampler.labels.table,
            motion=motion,
            numbers=numbers,
            batch_size=self.sampler.batch_size,
            error=error,
        )
