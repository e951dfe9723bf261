"""`sensitivity`: the values of each metric for known degradations of the user's own images."""

from dataclasses import replace
from pathlib import Path

import torch

import stylegen
from stylegen.config.evaluate_settings import SensitivitySettings
from stylegen.cpus import use_default_threads
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.distributed import choose_device
from stylegen.errors import UserError
from stylegen.files import write_text
from stylegen.metrics.engine.degradation_table import sensitivity, to_markdown
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.protocol.evaluation_settings import EvaluationSettings
from stylegen.metrics.protocol.registry import FALLBACK_EXTRACTOR, METRICS, default_extractor
from stylegen.progress import ProgressBars


def run(settings: SensitivitySettings) -> str:
    """Measures all degradations of `data.path` -> the tables in Markdown, or the path of their file.

    Raises:
        UserError: a dataset or metric that cannot be used; `out` not writable.
    """
    use_default_threads()
    metrics = _metrics(settings)
    out = None if settings.out is None else Path(settings.out).expanduser()
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise UserError(f"out={out}", rule="must be a file in an existing folder", fix="Give out=FILE.md")
    reals = ImageDataset(settings.data.path or OPENMOJI, settings.data.resolution, use_labels=settings.use_labels)
    count = min(settings.num_images, reals.num_images)
    evaluation = Evaluation(
        metrics, count, reals, EvaluationSettings(**settings.evaluation), choose_device(settings.device)
    )
    evaluation.check(paths=False)
    with ProgressBars() as progress:
        rows = sensitivity(replace(evaluation, progress=progress.show))
    lines = [
        f"{count} of the {reals.num_images} images of {reals.name} at {reals.spec.resolution} px (fingerprint "
        f"{reals.fingerprint[:16]}), stylegen {stylegen.__version__}, torch {torch.__version__}.",
        "",
        *to_markdown(rows),
    ]
    if out is None:
        return "\n".join(lines)
    write_text(out, "\n".join(lines))
    return str(out)


def _metrics(settings: SensitivitySettings) -> list[str]:
    """The given metrics; by default, all that need no download."""
    if settings.metrics is not None:
        unusable = [
            i for i in settings.metrics if i in METRICS and (METRICS[i].needs_generator or METRICS[i].exact_fakes)
        ]
        if unusable:
            raise UserError(
                f"metrics={unusable[0]}",
                rule="degradations need a metric of images, without a fixed number of them",
                fix="Use fid, prdc_inception or an fd_<extractor>",
            )
        return settings.metrics
    extractors = dict.fromkeys([default_extractor(settings.evaluation.weights), FALLBACK_EXTRACTOR])
    return [f"{kind}_{extractor}" for extractor in extractors for kind in ("fd", "prdc", "authenticity")]
