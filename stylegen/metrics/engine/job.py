"""One `evaluate` command: checks, a card per subject, figures, and a report on several subjects."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen import distributed
from stylegen.errors import UserError, unknown_choice
from stylegen.files import replacing, write_text
from stylegen.images import make_grid, write_png
from stylegen.metrics.engine.evaluation import Evaluation, check_classes
from stylegen.metrics.engine.fakes import StoredImages, default_batch_size
from stylegen.metrics.engine.real_sets import PublishedReals, at_resolution
from stylegen.metrics.engine.reals import SEED, Extraction, Progress, RealImages, real_statistics
from stylegen.metrics.engine.spectrum import ImageSet, measure_spectra
from stylegen.metrics.engine.statistics_file import write_statistics
from stylegen.metrics.engine.subjects import Subject, check_match, chosen_images
from stylegen.metrics.formulas.neighbors import fixed_point, nearest
from stylegen.metrics.protocol.card import describe
from stylegen.metrics.protocol.card_file import add_card, read_cards, updating
from stylegen.metrics.protocol.comparison import Measured, best_of, check_comparable, table, to_svg
from stylegen.metrics.protocol.metric_table import comparable, merged, rows_at, rows_of, to_csv
from stylegen.metrics.protocol.registry import METRICS

_CELL_PX = 64  # smallest cell in a figure of neighbors


@dataclass(frozen=True)
class EvaluationJob:
    """Evaluates subjects against the same reals.

    Args:
        evaluation: metrics, reals and settings.
        subjects: the images to evaluate; may be empty with `export`.
        batch_size: images per batch of a generator; None for `default_batch_size`.
        per_class: samples per class for per-class metrics; 0 for none.
        neighbors: samples in a figure with their nearest reals; 0 for none.
        spectrum: also measure the average spectra of each subject and of the reals.
        again: repeat evaluations that already have a card for the same question.
        out: path of the card, or folder of the report on several subjects; None for the default.
        export: path of a statistics file to write for the reals.
    """

    evaluation: Evaluation
    subjects: Sequence[Subject]
    batch_size: int | None = None
    per_class: int = 0
    neighbors: int = 0
    spectrum: bool = False
    again: bool = False
    out: Path | None = None
    export: Path | None = None

    @property
    def _batch(self) -> int:
        return self.batch_size or default_batch_size(self.evaluation.reals.spec.resolution)

    def check(self, stored: bool) -> None:
        """Checks everything before the computation.

        Args:
            stored: the subjects are stored images.

        Raises:
            UserError: subjects that are not comparable with the reals or with each other; see `Evaluation.check`;
                missing images of the reals or classes of the generator; paths that are not writable.
        """
        for subject in self.subjects:
            if subject.resolution != self.subjects[0].resolution:
                raise UserError(
                    f"{self.subjects[0].name} has {self.subjects[0].resolution} px and {subject.name} "
                    f"{subject.resolution} px",
                    rule="metrics at different resolutions cannot be compared",
                    fix="Evaluate snapshots of different resolutions in separate commands",
                )
            check_match(subject, self.evaluation.reals)  # type: ignore[arg-type]
            at_resolution(self.evaluation.reals, subject.resolution)
            replace(self.evaluation, num_samples=subject.count).check(paths=not stored)
            check_classes(subject.spec.num_classes, self.per_class)
            subject.check(self.evaluation)
        if not self.subjects and (not self.evaluation.metrics or self.evaluation.metrics[0] not in METRICS):
            raise unknown_choice("metrics", self.evaluation.metrics, METRICS)
        needs_images = self.export or self.neighbors or self.per_class or self.spectrum
        if needs_images and isinstance(self.evaluation.reals, PublishedReals):
            raise UserError(
                f"statistics={self.evaluation.reals.name}",
                rule="export, neighbors, per_class and spectrum need real images, and statistics have none",
                fix="Use data.path= instead of statistics=",
            )
        report = [self.folder / "metrics.csv"] if len(self.subjects) > 1 else []
        for path in [*report, *self.cards, *([self.export] if self.export else [])]:
            _check_writable(path)

    @property
    def cards(self) -> list[Path]:
        """Paths of the metric cards."""
        if self.out is not None and len(self.subjects) == 1:
            return [self.out]
        return [subject.card for subject in self.subjects]

    @property
    def folder(self) -> Path:
        """Folder of the report: `out`, or the run folder, or the common folder of several runs."""
        if self.out is not None:
            return self.out
        folder = Path(os.path.commonpath([subject.card.absolute().parent for subject in self.subjects]))
        return folder.parent if folder.name == "snapshots" else folder

    def run(self, progress: Progress | None = None) -> str:
        """Evaluates on this rank -> the result as JSON text on rank 0, "" on the others.

        Args:
            progress: see `Evaluation`; used on rank 0.
        """
        if progress is not None and distributed.is_rank0():
            return replace(self, evaluation=replace(self.evaluation, progress=progress)).run()
        reals = self.evaluation.reals
        if self.export is not None:
            self._export(self.export)
        measured = [self._measure(subject, card) for subject, card in zip(self.subjects, self.cards, strict=True)]
        if not distributed.is_rank0():
            return ""
        if not measured:
            return json.dumps({"export": str(self.export), "dataset": reals.name, "fingerprint": reals.fingerprint})
        if len(measured) == 1:
            print("\n".join(describe(measured[0].card)), file=sys.stderr)
            return json.dumps(measured[0].card, allow_nan=False)
        return self._report(measured)

    def _measure(self, subject: Subject, path: Path) -> Measured:
        """Evaluate and write the card. With several subjects, reuse a card for the same question."""
        evaluation = replace(self.evaluation, num_samples=subject.count)
        card: dict[str, Any] | None = None
        spectrum = {"spectrum": self._write_spectrum(subject, path)} if self.spectrum else {}
        if len(self.subjects) > 1 and not self.again:
            question = evaluation.question(subject.digest, self.per_class)
            earlier = distributed.broadcast_from_rank0(lambda: read_cards(path))
            card = next((c for c in reversed(earlier) if c["sampling"].get("question") == question), None)
        changed = card is None or bool(spectrum)
        if card is None:
            card = subject.measure(evaluation, batch_size=self._batch, per_class=self.per_class).to_dict()
        card = {**card, **spectrum}
        if changed and distributed.is_rank0():
            add_card(path, card)
        if self.neighbors:
            self._write_neighbors(subject, path)
        return Measured(subject.name, subject.kimg, card)

    def _export(self, path: Path) -> None:
        """Write `mu` and `sigma` of the reals in the features of the first metric."""
        reals = self.evaluation.reals
        extraction = self.evaluation.extraction(METRICS[self.evaluation.metrics[0]].extractor)
        statistics = real_statistics(reals, extraction, ["moments"], SEED, self.evaluation.cache)
        moments = statistics.feature_set().moments
        if distributed.is_rank0():
            assert moments is not None
            made = {
                "extractor": extraction.extractor.name,
                "weights_id": extraction.extractor.weights_id,
                "dataset": reals.name,
                "fingerprint": reals.fingerprint,
                "resolution": reals.spec.resolution,
                "channels": reals.spec.channels,
            }
            write_statistics(path, moments, made)

    def _write_neighbors(self, subject: Subject, card: Path) -> None:
        """Write `<card>.neighbors.png`, in the features of the authenticity metric."""
        reals = at_resolution(self.evaluation.reals, subject.resolution)
        metric = next(METRICS[i] for i in self.evaluation.metrics if i.startswith("authenticity_"))
        extraction = self.evaluation.extraction(metric.extractor)
        known = real_statistics(reals, extraction, ["features"], SEED, self.evaluation.cache).features
        if known is None:  # not rank 0
            return
        samples = subject.first_images(replace(self.evaluation, reals=reals), self.neighbors, self._batch)
        figure = neighbor_figure(samples, reals, extraction, known)
        path = _beside(card, "neighbors.png")
        write_png(path, figure, max(1, _CELL_PX // reals.spec.resolution))
        print(f"neighbors: {path}", file=sys.stderr)

    def _write_spectrum(self, subject: Subject, card: Path) -> dict[str, Any]:
        """Write `<card>.spectrum.png` -> the numbers for the card. Of the reals, at most as many as of the subject."""
        evaluation, size = self.evaluation, self._batch
        reals = at_resolution(evaluation.reals, subject.resolution)
        numbers = chosen_images(reals.num_images, min(reals.num_images, subject.count))
        images = subject.images_for(replace(evaluation, reals=reals), size)
        spectra = measure_spectra(
            ImageSet(subject.name, images, list(range(subject.count)), reals.spec),
            ImageSet("real images", StoredImages(reals, size), sorted(numbers), reals.spec),
            torch.device(evaluation.device),
            evaluation.progress,
        )
        if distributed.is_rank0():
            path = _beside(card, "spectrum.png")
            with replacing(path) as partial:
                partial.write_bytes(spectra.figure())
            print(f"spectrum: {path}", file=sys.stderr)
        return spectra.numbers()

    def _report(self, measured: Sequence[Measured]) -> str:
        """Write the table and the figure -> the result as JSON."""
        check_comparable(measured)
        measured = [replace(m, name=name) for m, name in zip(measured, self._distinct_names(), strict=True)]
        csv, svg = self.folder / "metrics.csv", self.folder / "metrics.svg"
        with updating(csv):
            rows = merged(rows_at(csv), rows_of(measured))
            write_text(csv, to_csv(rows))
        write_text(svg, to_svg(comparable(rows, measured[0])))
        print("\n".join(table(measured)), file=sys.stderr)
        result = {
            "metrics": {key: [m.card["metrics"][key] for m in measured] for key in measured[0].card["metrics"]},
            "better": measured[0].card["better"],
            "snapshots": [m.name for m in measured],
            "kimg": [m.kimg for m in measured],
            "best": best_of(measured),
            "num_samples": self.evaluation.num_samples,
            "cards": [str(subject.card) for subject in self.subjects],
            "table": str(csv),
            "plot": str(svg),
        }
        return json.dumps(result, allow_nan=False)

    def _distinct_names(self) -> list[str]:
        """Names of the snapshots, with the path from the common folder if they are in several folders."""
        folders = {subject.card.absolute().parent for subject in self.subjects}
        if len(folders) == 1:
            return [subject.name for subject in self.subjects]
        common = os.path.commonpath(folders)
        return [(s.card.absolute().parent / s.name).relative_to(common).as_posix() for s in self.subjects]


def neighbor_figure(fakes: Tensor, reals: RealImages, extraction: Extraction, known: Tensor, k: int = 5) -> Tensor:
    """Shows whether the generator reproduces training images: each row is a sample and its k nearest reals.

    Args:
        fakes: uint8 [N, C, H, W], N small.
        reals: the dataset, with the features `known` [M, dim].

    Returns:
        uint8 CHW.
    """
    queries, references = fixed_point(extraction.features(fakes), known)
    _, rows = nearest(queries, references, min(k, len(known)))
    cells = [torch.cat([fake[None], reals.batch(row)[0]]) for fake, row in zip(fakes, rows, strict=True)]
    return make_grid(torch.cat(cells), columns=rows.shape[1] + 1)


def _beside(card: Path, ending: str) -> Path:
    return card.with_name(f"{card.name.removesuffix('.json').removesuffix('.metrics')}.{ending}")


def _check_writable(path: Path) -> None:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"out={path}", rule="it cannot be written", fix="Give out=FILE.json in a writable folder")
