"""Metrics of generated images: `evaluate` compares a generator, or images, with a dataset.

Reading order: formulas/frechet, protocol/metric, protocol/registry, protocol/evaluation_settings, engine/reals,
engine/fakes, engine/metric_group, engine/evaluation; engine/calibration and engine/job at the end.
"""
