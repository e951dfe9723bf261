"""Figures in the run folder: metrics.png, the records over kimg; samples.webp, an animation of the sample grids."""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from stylegen.animation import write_animation
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.figures import BLUE, ORANGE, new_figure, to_png
from stylegen.files import replacing
from stylegen.images import add_caption
from stylegen.metrics.protocol.registry import better_direction
from stylegen.training.observers.metrics_log import Record
from stylegen.training.run_log import RunLog

MAX_FRAMES = 64
MAX_PIXELS = 2**25  # of all frames: about four seconds of one CPU core
_SHOWN_MS, _SHORTEST_MS, _LONGEST_MS, _LAST_MS = 8000, 80, 400, 2500  # all frames; a frame; the last one
_COLUMNS, _PANEL = 3, (3.6, 2.4)  # inches
_TOGETHER = {"losses": ("loss/G", "loss/D"), "scores of D": ("score/real", "score/fake")}
_LOG_FROM = 10  # ratio of the largest to the smallest value
_FEW = 40  # points of a curve that are marked one by one

Curve = tuple[list[float], list[float]]  # kimg, values


@dataclass(frozen=True)
class RunFigures:
    """Writes the figures of a run, on rank 0. If one fails, training continues and the log has a note.

    Args:
        folder: the run folder, with metrics.jsonl and samples/.
        run_log: receives the note.
        enabled: False for no figures.
    """

    folder: RunFolder
    run_log: RunLog
    enabled: bool = True

    def plot(self) -> None:
        """Write metrics.png from metrics.jsonl."""
        if self.enabled:
            with self._tolerated(self.folder.metrics_plot):
                plot_records(usable_records(self.folder.metrics), self.folder.metrics_plot)

    def animate(self) -> None:
        """Write samples.webp from the sample grids, including earlier parts of the run."""
        if self.enabled:
            with self._tolerated(self.folder.animation):
                animate_grids(self.folder.samples(), self.folder.animation)

    @contextlib.contextmanager
    def _tolerated(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (ImportError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
            self.run_log.write(f"note: {path.name} was not written ({error})")


def usable_records(path: Path) -> list[Record]:
    """The records of metrics.jsonl; lines that are not records are skipped."""
    records = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("kimg"), int | float):
                records.append(record)
    return records


def plot_records(records: Sequence[Record], path: Path) -> None:
    """One panel for each metric, then losses, scores, regularizers and the strength of ADA. No file without values."""
    names = list(dict.fromkeys(name for record in records for name in record))
    panels: dict[str, tuple[str, ...]] = {
        name.removeprefix("metric/"): (name,) for name in names if name.startswith("metric/")
    }
    panels |= {title: tuple(name for name in pair if name in names) for title, pair in _TOGETHER.items()}
    panels |= {name: (name,) for name in names if name.startswith("reg/") or name == "augment/p"}
    curves = {title: {name: curve(records, name) for name in shown} for title, shown in panels.items()}
    curves = {title: found for title, found in curves.items() if any(kimg for kimg, _ in found.values())}
    if not curves:
        return
    columns = min(_COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure, axes = new_figure(rows, columns, size=(columns * _PANEL[0], rows * _PANEL[1]))
    for panel, (title, found) in zip(axes.flat, curves.items(), strict=False):
        _plot_panel(panel, title, found)
        panel.set_xlim(0, records[-1]["kimg"] * 1.03 or 1)
    for panel in axes.flat[len(curves) :]:
        panel.set_axis_off()
    with replacing(path) as partial:
        partial.write_bytes(to_png(figure))


def curve(records: Sequence[Record], name: str) -> Curve:
    """The finite values of one name."""
    found = [(r["kimg"], r[name]) for r in records if isinstance(r.get(name), int | float) and math.isfinite(r[name])]
    return [kimg for kimg, _ in found], [value for _, value in found]


def _plot_panel(panel: Any, title: str, curves: dict[str, Curve]) -> None:
    """Plot the curves of one panel; the best value of a metric with a better direction is marked."""
    for (name, (kimg, values)), color in zip(curves.items(), (BLUE, ORANGE), strict=False):
        metric = name.startswith("metric/")
        label = None if metric else name
        panel.plot(kimg, values, color=color, label=label, marker="." if len(kimg) < _FEW else None)
        if metric and (better := better_direction(title)):
            best = (min if better == "lower" else max)(range(len(values)), key=values.__getitem__)
            label = f"{'lowest' if better == 'lower' else 'highest'} {values[best]:.4g} at {kimg[best]:g} kimg"
            panel.plot(kimg[best], values[best], "o", color=ORANGE, label=label)
    every = [value for _, values in curves.values() for value in values]
    if min(every) > 0 and max(every) > _LOG_FROM * min(every):
        panel.set_yscale("log")
    panel.set_title(title, fontsize=9)
    panel.set_xlabel("kimg")
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8)


def animate_grids(grids: Sequence[Path], path: Path) -> None:
    """Animate sample grids named after their kimg, at most `MAX_FRAMES` of them; the last one is shown longer.

    Grids are reduced so that all frames have at most `MAX_PIXELS`. No file for fewer than two grids.
    """
    grids = evenly_spaced(grids, MAX_FRAMES)
    if len(grids) < 2:
        return
    last = _read(grids[-1])
    factor = min(1.0, (MAX_PIXELS / len(grids) / (last.width * last.height)) ** 0.5)
    size = max(1, int(last.width * factor)), max(1, int(last.height * factor))
    frames = [add_caption(_fitted(_read(grid), size), f"{float(grid.stem):g} kimg") for grid in grids]
    each = min(max(_SHOWN_MS // len(frames), _SHORTEST_MS), _LONGEST_MS)
    with replacing(path) as partial:
        write_animation(partial, frames, [each] * (len(frames) - 1) + [_LAST_MS], path.suffix)


def evenly_spaced(items: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the items at even distances, the first and the last included."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _read(grid: Path) -> Image.Image:
    try:
        with Image.open(grid) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError) as error:  # Pillow's errors for truncated files; an observer recovers from ValueError
        raise ValueError(f"{grid.name}: {error}") from error


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image resized to fit into `size` with its proportions, on white."""
    factor = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BOX if factor < 1 else Image.Resampling.NEAREST)
    canvas = Image.new("RGB", size, "white")
    canvas.paste(image, (0, 0))
    return canvas
