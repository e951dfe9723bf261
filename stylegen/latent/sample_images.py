"""Any number of single images: in a folder, a .zip or an .npz, with their latents and labels. Continues after a kill.

Images are generated in parts. A part is a folder that appears under its name when it is complete; a repeated command
keeps the complete parts and generates the others. No more than a part is in memory.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegen.data.metadata import FILE_NAME, dump_metadata
from stylegen.data.sources.zip import zip_entry
from stylegen.errors import UserError
from stylegen.files import replacing_folder
from stylegen.images import write_pngs
from stylegen.latent.array_archive import Chunks, write_array, write_arrays
from stylegen.latent.sampler import Sampler
from stylegen.one_hot import OneHot
from stylegen.progress import ProgressBars

FORMS = ("", ".zip", ".npz")  # suffixes; a folder has none
LATENTS = "latents.npz"
_PART = 256  # images, about
_BARS_FROM = 64  # images


@dataclass(frozen=True)
class SampleImages:
    """One image for each seed.

    Args:
        seeds: distinct.
        suffix: file type, in `FORMS`. A .zip is a dataset of `python train.py`; an .npz has the images as `arr_0`
            [N, H, W, C], as common evaluation scripts read them.
        latents: write the styles, labels and seeds, which `latents=` reads: into the .npz, or a file of their own.
        class_names: names for the labels of a .zip.
    """

    seeds: Sequence[int]
    suffix: str = ""
    latents: bool = True
    class_names: list[str] = field(default_factory=list)

    def check_size(self, side: int) -> None:
        """A folder or archive may have any size."""

    def check_scale(self, scale: int) -> None:
        """Raise UserError for a scale above 1 of an .npz."""
        if self.suffix == ".npz" and scale > 1:
            raise UserError(f"scale={scale}", rule="an .npz has the images as they are", fix="Use scale=1, or a .zip")

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Write the new folder or file `path`, and `LATENTS` beside it unless it is an .npz.

        Finished parts are read from `parts` beside `path`, where an interrupted call has left them.

        Raises:
            UserError: scale above 1 for an .npz.
        """
        self.check_scale(scale)
        parts = self._parts(sampler, scale, path.with_name("parts"))
        arrays = self._arrays(parts, sampler) if self.latents else {}
        if self.suffix == ".npz":
            images = Chunks.of([part / "images.npy" for part in parts])
            write_arrays(path, {"arr_0": images, **arrays})
            return
        if arrays:
            write_arrays(path.with_name(LATENTS), arrays)
        if self.suffix == ".zip":
            self._write_zip(path, parts, sampler)
        else:
            path.mkdir(exist_ok=True)
            for file in _pngs(parts):
                file.replace(path / file.name)

    def _parts(self, sampler: Sampler, scale: int, folder: Path) -> list[Path]:
        """The folders of all parts; generates those that are missing."""
        size, count = sampler.batch_size * max(1, _PART // sampler.batch_size), len(self.seeds)
        parts = []
        with ProgressBars() as bars:
            for number, start in enumerate(range(0, count, size)):
                parts.append(folder / f"{number:06d}")
                if parts[-1].is_dir():
                    continue
                part = range(start, min(start + size, count))
                with replacing_folder(parts[-1]) as new:
                    self._write_part(new, sampler, scale, len(part), self._batches(part, sampler.batch_size, bars))
        return parts

    def _batches(self, part: range, size: int, bars: ProgressBars) -> Iterator[list[int]]:
        """The seeds of a part; shows how many images precede each batch."""
        count = len(self.seeds)
        for start in part[::size]:
            if count > _BARS_FROM:
                bars.show("images", start, count)
            yield list(self.seeds[start : min(start + size, part.stop)])

    def _write_part(self, folder: Path, sampler: Sampler, scale: int, count: int, batches: Iterator[list[int]]) -> None:
        styles: list[Tensor] = []

        def images() -> Iterator[tuple[int, Tensor]]:
            for batch in batches:
                ws = sampler.ws(batch)
                if self.latents:
                    styles.append(sampler.truncated(ws, batch).float().cpu())
                yield from zip(batch, sampler.render(ws, batch).cpu(), strict=True)

        if self.suffix == ".npz":
            G = sampler.generator
            shape = (count, G.level.resolution, G.level.resolution, G.channels)
            pixels = (image.permute(1, 2, 0)[None].numpy() for _, image in images())
            write_array(folder / "images.npy", Chunks(shape, np.dtype(np.uint8), pixels))
        else:
            write_pngs(((folder / _name(seed), image) for seed, image in images()), scale)
        if self.latents:
            ws = torch.cat(styles)
            np.save(folder / "styles.npy", (ws[:, 0] if _one_style(sampler) else ws).numpy())

    def _arrays(self, parts: list[Path], sampler: Sampler) -> dict[str, np.ndarray | Chunks]:
        """As `latents_file` reads them; one w [N, w_dim] where all layers have the same."""
        found: dict[str, np.ndarray | Chunks] = {
            "w" if _one_style(sampler) else "ws": Chunks.of([part / "styles.npy" for part in parts]),
            "seeds": np.array(self.seeds, dtype=np.int64),
        }
        if _labeled(sampler):
            found["labels"] = np.array(list(self._labels(sampler)))
        return found

    def _labels(self, sampler: Sampler) -> Iterator[int | list[float]]:
        """Class indices where all labels are one-hot, else vectors."""
        table = sampler.labels.table
        indices = isinstance(table, OneHot) or bool(
            ((table == 1).sum(1) == 1).all() and ((table != 0).sum(1) == 1).all()
        )
        for start in range(0, len(self.seeds), 1024):
            rows = sampler.labels(list(self.seeds[start : start + 1024]))
            yield from (rows.argmax(dim=1) if indices else rows).tolist()

    def _write_zip(self, path: Path, parts: list[Path], sampler: Sampler) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in _pngs(parts):
                archive.writestr(zip_entry(file.name), file.read_bytes())
            if _labeled(sampler):
                pairs = zip(map(_name, self.seeds), self._labels(sampler), strict=True)
                metadata: dict[str, Any] = {"labels": [list(pair) for pair in pairs]}
                metadata |= {"class_names": self.class_names} if self.class_names else {}
                archive.writestr(zip_entry(FILE_NAME), dump_metadata(metadata))


def _name(seed: int) -> str:
    return f"seed{seed:06d}.png"


def _pngs(parts: list[Path]) -> Iterator[Path]:
    for part in parts:
        yield from sorted(part.glob("*.png"))


def _labeled(sampler: Sampler) -> bool:
    return bool(sampler.generator.num_classes) and not isinstance(sampler.seed_source, Tensor)


def _one_style(sampler: Sampler) -> bool:
    """Whether all layers of an image have the same w."""
    return sampler.cutoff is None and not isinstance(sampler.seed_source, Tensor)
