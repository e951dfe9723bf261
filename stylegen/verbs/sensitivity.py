"""What each metric sees: its values for known degradations of the user's own images."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

import stylegen
from stylegen.config.evaluate_settings import SensitivitySettings
from stylegen.config.evaluation import metric_options
from stylegen.data.dataset import ImageDataset
from stylegen.device import choose_device
from stylegen.errors import UserError
from stylegen.features.weights import is_present
from stylegen.files import write_text
from stylegen.metrics.engine.degradation_table import sensitivity, to_markdown
from stylegen.metrics.engine.requirements import check_metrics
from stylegen.metrics.protocol.registry import DEFAULT_EXTRACTOR, FALLBACK_EXTRACTOR, METRICS
from stylegen.progress import ProgressBars


@dataclass(frozen=True)
class SensitivityResult:
    """The tables in Markdown, or where they are."""

    text: str

    def __str__(self) -> str:
        return self.text


def run(config: SensitivitySettings) -> SensitivityResult:
    """Measure all degradations of `data.path`.

    Raises:
        UserError: a dataset or metric that cannot be used; `out` that cannot be written.
    """
    ids = _metrics(config)
    out = None if config.out is None else Path(config.out).expanduser()
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise UserError(f"out={out}", rule="it is no file in an existing folder", fix="Give out=FILE.md")
    reals = ImageDataset(config.data.path or "openmoji", config.data.resolution, use_labels=config.use_labels)
    options = metric_options(config.evaluation)
    count = min(config.num_images, reals.num_images)
    check_metrics(ids, count, reals, weights=config.evaluation.weights, options=options, walks=False)
    with ProgressBars() as progress:
        rows = sensitivity(
            ids,
            reals,
            options=options,
            weights=config.evaluation.weights,
            device=choose_device(config.device),
            batch_size=config.evaluation.batch_size,
            num_images=config.num_images,
            progress=progress.show,
        )
    lines = [
        f"{count} of the {reals.num_images} images of {reals.name} at {reals.spec.resolution} px (fingerprint "
        f"{reals.fingerprint[:16]}), stylegen {stylegen.__version__}, torch {torch.__version__}.",
        "",
        *to_markdown(rows),
    ]
    if out is None:
        return SensitivityResult("\n".join(lines))
    write_text(out, "\n".join(lines))
    return SensitivityResult(str(out))


def _metrics(config: SensitivitySettings) -> list[str]:
    """Those given; by default all that can be measured without a download."""
    if config.metrics is not None:
        unusable = [i for i in config.metrics if i in METRICS and (METRICS[i].walk or METRICS[i].exact_fakes)]
        if unusable:
            raise UserError(
                f"metrics={unusable[0]}",
                rule="degradations need a metric of images, of any number of them",
                fix="Use fid, prdc_inception or a fd_<extractor>",
            )
        return list(config.metrics)
    extractors = [DEFAULT_EXTRACTOR] if is_present(DEFAULT_EXTRACTOR, config.evaluation.weights) else []
    if not extractors:
        print(f"note: {DEFAULT_EXTRACTOR} is not installed, measuring {FALLBACK_EXTRACTOR} only", file=sys.stderr)
    kinds = ("fd", "prdc", "authenticity")
    return [f"{kind}_{extractor}" for extractor in [*extractors, FALLBACK_EXTRACTOR] for kind in kinds]
