"""Metrics of generated images: `evaluate` measures a generator, or images, against a dataset.

Reading order: formulas/frechet, protocol/metric, protocol/registry, protocol/evaluation_settings, engine/reals,
engine/fakes, engine/metric_group, engine/evaluation; engine/calibration and engine/job at the end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing a file of this package must not import all others
    import torch

    from stylegen.metrics.engine.evaluation import Fakes
    from stylegen.metrics.engine.reals import RealImages
    from stylegen.metrics.protocol.card import MetricCard
    from stylegen.metrics.protocol.evaluation_settings import EvaluationSettings
    from stylegen.networks import StyleGenerator


def evaluate(
    images: "StyleGenerator | Fakes",
    reals: "RealImages",
    metrics: Sequence[str],
    num_samples: int,
    settings: "EvaluationSettings | None" = None,
    device: "torch.device | str" = "cpu",
) -> "MetricCard":
    """Measures a generator, or images, against a dataset.

    Args:
        images: a generator (`G_ema`, in evaluation mode); images by index (`engine.fakes`); or batches of uint8 NCHW.
        reals: the dataset.
        metrics: ids, keys of `stylegen.metrics.protocol.registry.METRICS`.
        num_samples: number of images to measure.
        device: of the feature extractors; a generator's own device takes precedence.

    Raises:
        UserError: see `engine.evaluation.Evaluation`.
    """
    from stylegen.metrics.engine.evaluation import Evaluation
    from stylegen.metrics.protocol.evaluation_settings import EvaluationSettings
    from stylegen.networks import StyleGenerator

    evaluation = Evaluation(metrics, num_samples, reals, settings or EvaluationSettings(), device)
    return evaluation.measure_generator(images) if isinstance(images, StyleGenerator) else evaluation.measure(images)
