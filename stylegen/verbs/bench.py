"""Measure this machine: training, its memory and roofline, sampling, start-up, reading of data."""

from pathlib import Path

from stylegen.benchmarks.benchmark_report import Report, check_output
from stylegen.benchmarks.memory_use import memory_use
from stylegen.benchmarks.reading_speed import reading_speed
from stylegen.benchmarks.roofline import roofline
from stylegen.benchmarks.sampling_speed import sampling_speed
from stylegen.benchmarks.startup_time import startup_time
from stylegen.benchmarks.training_speed import training_speed
from stylegen.config.settings import BenchSettings
from stylegen.errors import UserError

BENCHMARKS = {
    "data": reading_speed,
    "train": training_speed,
    "sample": sampling_speed,
    "startup": startup_time,
    "memory": memory_use,
    "roofline": roofline,
}
_COMPARES = ("train", "sample")


def run(settings: BenchSettings) -> Report:
    """Measure `settings.what`, and write `settings.out`.

    Raises:
        UserError: settings that cannot be measured, or `out` not writable; raised before the measurement.
    """
    out = None if settings.out is None else Path(settings.out).expanduser()
    if out is not None:
        check_output(out)
    if settings.vs and settings.what not in _COMPARES:
        raise UserError(
            f"vs={settings.vs} what={settings.what}",
            rule=f"two configurations are compared by what={' or what='.join(_COMPARES)}",
            fix="Omit vs",
        )
    report = BENCHMARKS[settings.what](settings)
    if out is not None:
        report.write(out)
    return report
