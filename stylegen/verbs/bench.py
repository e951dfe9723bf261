"""Measure this machine: images per second of each source and cache, for each number of workers."""

from dataclasses import dataclass

from stylegen.config.settings import BenchSettings
from stylegen.files import temporary_folder
from stylegen.spec import ImageSpec
from stylegen.studies.reading_speed import datasets_to_time, images_per_second


@dataclass(frozen=True)
class BenchResult:
    """Images per second by (source or cache, resolution, workers); None if a package is missing."""

    rates: dict[tuple[str, int, int], float | None]

    def __str__(self) -> str:
        sources = list(dict.fromkeys(source for source, _, _ in self.rates))
        columns = list(dict.fromkeys((resolution, workers) for _, resolution, workers in self.rates))
        head = ["images/s", *(f"{r}px {w}w" for r, w in columns)]
        rows = [[source, *(_cell(self.rates.get((source, *column))) for column in columns)] for source in sources]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
        return "\n".join([*lines, "px: resolution, w: workers; synthetic images, read in a loop by DataLoader"])


def run(settings: BenchSettings) -> BenchResult:
    """Measure all cells of the table.

    Raises:
        UserError: a resolution that is not a power of two.
    """
    for resolution in settings.resolutions:
        ImageSpec(resolution)
    rates: dict[tuple[str, int, int], float | None] = {}
    for resolution in settings.resolutions:
        with temporary_folder() as folder:
            for source, dataset in datasets_to_time(folder, resolution):
                for workers in settings.workers:
                    rate = None if dataset is None else images_per_second(dataset, workers, settings.seconds)
                    rates[source, resolution, workers] = rate
    return BenchResult(rates)


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"
