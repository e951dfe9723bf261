"""Measure this machine: how many pictures a second each source and each cache gives, for each number of workers."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from stylegen.config.settings import BenchSettings
from stylegen.data.dataset import ImageDataset
from stylegen.data.sources.folder import write_folder
from stylegen.data.sources.lmdb import write_lmdb
from stylegen.data.sources.parquet import write_parquet
from stylegen.data.sources.zip import write_zip
from stylegen.errors import UserError, unknown_choice
from stylegen.files import temporary_folder
from stylegen.images import to_pil
from stylegen.randomness import normal
from stylegen.spec import ImageSpec

BATCH_BYTES = 2**20  # of decoded pixels: some hundred small pictures at a time, or one large one
SET_BYTES = 24 * 2**20

Pictures = list[tuple[str, bytes]]


@dataclass(frozen=True)
class BenchResult:
    """Pictures per second for each way of reading, resolution and number of workers; None where it cannot be."""

    rates: dict[tuple[str, int, int], float | None]

    def __str__(self) -> str:
        ways = list(dict.fromkeys(way for way, _, _ in self.rates))
        columns = list(dict.fromkeys((resolution, workers) for _, resolution, workers in self.rates))
        head = ["pictures/s", *(f"{r}px {w}w" for r, w in columns)]
        rows = [[way, *(_cell(self.rates.get((way, *column))) for column in columns)] for way in ways]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
        return "\n".join([*lines, "px: resolution, w: workers; synthetic pictures, read in a loop by DataLoader"])


def run(settings: BenchSettings) -> BenchResult:
    """Measure what `what` names.

    Raises:
        UserError: another `what` or resolution.
    """
    if settings.what != "data":
        raise unknown_choice("what", settings.what, ["data"])
    for resolution in settings.resolutions:
        ImageSpec(resolution)  # refuses what no dataset can have
    rates: dict[tuple[str, int, int], float | None] = {}
    for resolution in settings.resolutions:
        with temporary_folder() as folder:
            for way, dataset in _datasets(folder, resolution):
                for workers in settings.workers:
                    rate = None if dataset is None else _rate(dataset, workers, settings.seconds)
                    rates[way, resolution, workers] = rate
    return BenchResult(rates)


def synthetic_pictures(resolution: int, count: int) -> Pictures:
    """PNGs of coloured 1/f noise, which compress like FFHQ (to 0.57 and 0.45 of their pixels at 256 and 1024).

    The same numbers give the same pictures.
    """
    pictures = []
    frequency = torch.hypot(torch.fft.fftfreq(resolution)[:, None], torch.fft.rfftfreq(resolution)[None])
    frequency[0, 0] = 1 / resolution
    for number in range(count):
        noise = normal(0, "bench/picture", torch.tensor([number]), (3, resolution, resolution))[0]
        smooth = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency.pow(1.5), s=(resolution, resolution))
        smooth = smooth.mean(0) + 0.3 * (smooth - smooth.mean(0))  # the colours of a photograph go together
        levels = 128 + 50 * (smooth - smooth.mean()) / smooth.std()
        buffer = io.BytesIO()
        to_pil(levels.clamp(0, 255).to(torch.uint8)).save(buffer, format="PNG")
        pictures.append((f"{number // 1000:05d}/img{number:08d}.png", buffer.getvalue()))
    return pictures


def _datasets(top: Path, resolution: int) -> Iterator[tuple[str, ImageDataset | None]]:
    """Each way of reading with its dataset; None where a package is missing."""
    count = max(4, min(256, SET_BYTES // (3 * resolution**2)))
    pictures = synthetic_pictures(resolution, count)
    size = sum(len(data) for _, data in pictures)
    writers: dict[str, Callable[[Path], object]] = {
        "folder": lambda path: write_folder(path, pictures, {}),
        "zip": lambda path: write_zip(path.with_suffix(".zip"), pictures, {}),
        "lmdb": lambda path: write_lmdb(path.with_suffix(".lmdb"), pictures, {}, size),
        "parquet": lambda path: write_parquet(path.with_suffix(".parquet"), pictures),
    }
    for kind, write in writers.items():
        path = top / kind
        try:
            write(path)
        except UserError:  # an extra that is not installed
            yield kind, None
            continue
        yield kind, ImageDataset(path if path.exists() else path.with_suffix(f".{kind}"), cache="off")
    yield "memmap", ImageDataset(top / "zip.zip", cache="memmap")
    yield "memory", ImageDataset(top / "zip.zip", cache="auto")


def _rate(dataset: ImageDataset, workers: int, seconds: float) -> float:
    """Pictures per second, once the workers have started."""
    resolution, count = dataset.spec.resolution, len(dataset)
    size = max(1, min(count, BATCH_BYTES // (3 * resolution**2)))
    batches = [list(range(start, start + size)) for start in range(0, count - size + 1, size)]
    endless = chain.from_iterable(repeat(batches))
    loader = DataLoader(_WholeBatches(dataset), batch_size=None, sampler=endless, num_workers=workers)
    return _measure(iter(loader), size, 2 * workers + 1, seconds)


class _WholeBatches(Dataset[Any]):
    """Indexed by a list of items, as in training."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, indices: list[int]) -> Any:
        return self.dataset.batch(indices)


def _measure(batches: Iterator[Any], size: int, warm_up: int, seconds: float) -> float:
    for _ in range(warm_up):
        next(batches)
    begin, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < seconds or not done:
        next(batches)
        done += size
    return done / spent


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"
