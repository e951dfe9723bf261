"""The generated side of a metric, by the protocol of StyleGAN2-ADA: psi 1, random noise, labels drawn from the data.

Picture i is a function of i alone, so the score depends on no batch size.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from stylegen.latent.sampler import Sampler
from stylegen.metrics.card import MetricCard
from stylegen.metrics.evaluate import compute_metrics
from stylegen.metrics.reals import RealImages
from stylegen.networks import StyleGenerator


class LabelledImages(RealImages, Protocol):
    """Reals whose labels the generated pictures take."""

    def labels(self) -> Tensor:
        """float32 [num_images, num_classes]."""
        ...


def score_generator(
    generator: StyleGenerator,
    reals: LabelledImages,
    ids: Sequence[str],
    num_samples: int,
    sampler_batch: int = 64,
    **options: Any,
) -> MetricCard:
    """Measure a generator against a dataset.

    Args:
        generator: in evaluation mode, on its device; the averaged weights, by the protocol.
        reals: the dataset.
        ids, num_samples: see `compute_metrics`.
        sampler_batch: pictures at a time in the generator.
        options: passed on to `compute_metrics`.
    """
    sampler = Sampler(generator, psi=1.0, noise="random", label_table=reals.labels(), batch_size=sampler_batch)
    sampling = {"weights": "moving average", "psi": 1.0, "noise": "random", "labels": "drawn from the dataset"}
    return compute_metrics(
        ids,
        sampler.batches(list(range(num_samples))),
        num_samples,
        reals,
        device=sampler.device,
        sampling=sampling,
        **options,
    )
