"""How good are the pictures: `compute_metrics` gives a metric card; `check_metrics` says beforehand whether it can.

Reading order: frechet, metric, registry, protocol, reals, calibration, evaluate, generated; ranks, cache,
continuation, card and report on the side.
"""

from stylegen.metrics.card import MetricCard as MetricCard
from stylegen.metrics.checks import check_metrics as check_metrics
from stylegen.metrics.evaluate import compute_metrics as compute_metrics
from stylegen.metrics.metric import MetricOptions as MetricOptions
from stylegen.metrics.protocol import Protocol as Protocol
from stylegen.metrics.registry import METRICS as METRICS
