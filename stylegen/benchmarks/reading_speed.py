"""`bench what=data`: images per second of each source and cache, for each number of workers."""

import io
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from stylegen.benchmarks.benchmark_report import Report, Table
from stylegen.benchmarks.machine import describe_machine
from stylegen.benchmarks.stopwatch import timed
from stylegen.config.settings import BenchSettings
from stylegen.data.dataset import ImageDataset
from stylegen.data.sources.folder import write_folder
from stylegen.data.sources.lmdb import write_lmdb
from stylegen.data.sources.parquet import write_parquet
from stylegen.data.sources.zip import write_zip
from stylegen.errors import UserError
from stylegen.files import temporary_folder
from stylegen.images import to_pil
from stylegen.randomness import normal
from stylegen.spec import ImageSpec
from stylegen.training.batches import WholeBatches

BATCH_BYTES = 2**20  # of decoded pixels in a batch: a few hundred small images, or one large one
SET_BYTES = 24 * 2**20  # of a synthetic dataset

Images = list[tuple[str, bytes]]


def reading_speed(settings: BenchSettings) -> Report:
    """Measure each source and cache at each resolution.

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
                if dataset is not None:
                    dataset.source.close()
    values = [
        {"source": source, "resolution": resolution, "workers": workers, "images_per_second": rate}
        for (source, resolution, workers), rate in rates.items()
    ]
    return Report("data", [_table(rates)], {"machine": describe_machine(torch.device("cpu")), "rates": values})


def _table(rates: Mapping[tuple[str, int, int], float | None]) -> Table:
    sources = list(dict.fromkeys(source for source, _, _ in rates))
    columns = list(dict.fromkeys((resolution, workers) for _, resolution, workers in rates))
    head = ["images/s", *(f"{resolution}px {workers}w" for resolution, workers in columns)]
    rows = [[source, *(_cell(rates.get((source, *column))) for column in columns)] for source in sources]
    return Table(head, rows, ["px: resolution, w: workers; synthetic images, read in a loop by DataLoader"])


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"


def synthetic_images(resolution: int, count: int) -> Images:
    """PNGs of colored 1/f noise, which compress like FFHQ (to 57 % and 45 % of the raw size at 256 and 1024 px).

    Deterministic.
    """
    images = []
    frequency = torch.hypot(torch.fft.fftfreq(resolution)[:, None], torch.fft.rfftfreq(resolution)[None])
    frequency[0, 0] = 1 / resolution
    for number in range(count):
        noise = normal(0, "bench/image", torch.tensor([number]), (3, resolution, resolution))[0]
        smooth = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency.pow(1.5), s=(resolution, resolution))
        smooth = smooth.mean(0) + 0.3 * (smooth - smooth.mean(0))  # colors of photographs are correlated
        levels = 128 + 50 * (smooth - smooth.mean()) / smooth.std()
        buffer = io.BytesIO()
        to_pil(levels.clamp(0, 255).to(torch.uint8)).save(buffer, format="PNG")
        images.append((f"{number // 1000:05d}/img{number:08d}.png", buffer.getvalue()))
    return images


def datasets_to_time(top: Path, resolution: int) -> Iterator[tuple[str, ImageDataset | None]]:
    """Each source and cache by name, with a dataset of synthetic images in `top`, or None if a package is missing."""
    count = max(4, min(256, SET_BYTES // (3 * resolution**2)))
    images = synthetic_images(resolution, count)
    size = sum(len(data) for _, data in images)
    writers: dict[str, Callable[[Path], object]] = {
        "folder": lambda path: write_folder(path, images, {}),
        "zip": lambda path: write_zip(path.with_suffix(".zip"), images, {}),
        "lmdb": lambda path: write_lmdb(path.with_suffix(".lmdb"), images, {}, size),
        "parquet": lambda path: write_parquet(path.with_suffix(".parquet"), images),
    }
    for kind, write in writers.items():
        path = top / kind
        try:
            write(path)
        except UserError:  # optional dependency not installed
            yield kind, None
            continue
        yield kind, ImageDataset(path if path.exists() else path.with_suffix(f".{kind}"), cache="off")
    yield "memmap", ImageDataset(top / "zip.zip", cache="memmap")
    yield "memory", ImageDataset(top / "zip.zip", cache="auto")


def images_per_second(dataset: ImageDataset, workers: int, seconds: float) -> float:
    """Images per second of a DataLoader, after its workers have started.

    Args:
        workers: processes; 0 reads in this one.
        seconds: shortest measurement.
    """
    resolution, count = dataset.spec.resolution, len(dataset)
    size = max(1, min(count, BATCH_BYTES // (3 * resolution**2)))
    batches = [list(range(start, start + size)) for start in range(0, count - size + 1, size)]
    endless = chain.from_iterable(repeat(batches))
    loader = DataLoader(WholeBatches(dataset), batch_size=None, sampler=endless, num_workers=workers)
    reader = iter(loader)
    times = timed(lambda: next(reader), torch.device("cpu"), warm_up=2 * workers + 1, seconds=seconds)
    return size * len(times) / sum(times)
