"""Metrics of generated images: `evaluate` measures a generator, or images, against a dataset.

Reading order: formulas/frechet, protocol/metric, protocol/registry, protocol/evaluation_settings, engine/reals,
engine/fakes, engine/metric_group, engine/evaluation; engine/calibration and engine/job at the end.
"""
