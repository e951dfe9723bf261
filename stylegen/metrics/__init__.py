"""How good are the pictures: `compute_metrics` gives a metric card; `check_metrics` says beforehand whether it can.

Reading order: frechet, metric, registry, protocol, reals, calibration, evaluate, generated, cache,
continuation, card and report on the side.
"""

from stylegen.metrics.engine.compute import compute_metrics as compute_metrics
from stylegen.metrics.engine.requirements import check_metrics as check_metrics
from stylegen.metrics.protocol.card import MetricCard as MetricCard
from stylegen.metrics.protocol.metric import MetricOptions as MetricOptions
from stylegen.metrics.protocol.protocol import Protocol as Protocol
from stylegen.metrics.protocol.registry import METRICS as METRICS
