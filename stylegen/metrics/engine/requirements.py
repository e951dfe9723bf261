"""Checks of an evaluation, before training or the evaluation starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stylegen.errors import UserError, unknown_choice
from stylegen.features import build_extractor
from stylegen.features.weights import FILES_OF, PUBLISHED, is_own_file, require_all_weights
from stylegen.metrics.engine.metric_group import by_extractor
from stylegen.metrics.engine.real_sets import PublishedReals, attributes_of
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.protocol.metric import Metric
from stylegen.metrics.protocol.registry import METRICS, without_weights
from stylegen.networks import StyleGenerator

if TYPE_CHECKING:
    from stylegen.metrics.engine.evaluation import Evaluation


def check_evaluation(evaluation: "Evaluation", *, paths: bool, prefix: str, open_weights: bool) -> None:
    """See `Evaluation.check`."""
    ids, reals, settings = evaluation.metrics, evaluation.reals, evaluation.settings
    if not ids:
        raise unknown_choice(f"{prefix}metrics", "[]", METRICS)
    for metric_id in ids:
        if metric_id not in METRICS:
            raise unknown_choice(f"{prefix}metrics", metric_id, METRICS)
    if reals.spec.channels not in (1, 3):
        raise UserError(
            f"{reals.name} has {reals.spec.channels} channels",
            rule="metrics are defined for gray (1) and RGB (3) images, not for an alpha channel",
            fix="Flatten the images onto a background, or use evaluation=none in training",
        )
    for metric_id in ids:
        metric = METRICS[metric_id]
        _check_metric(metric, evaluation, paths, prefix)
        if settings.mirror_reals and metric.first_reals is not None:
            raise UserError(
                f"evaluation.mirror_reals=true for {metric_id}",
                rule=f"{metric_id} mirrors its reals if and only if training did",
                fix="Omit it",
            )
    for extractor, members in by_extractor(ids).items():
        require_all_weights(extractor, settings.weights, instead=without_weights(members[0]))
        if open_weights and is_own_file(settings.weights) and (extractor in PUBLISHED or extractor in FILES_OF):
            build_extractor(extractor, settings.weights)


def _check_metric(metric: Metric, evaluation: "Evaluation", paths: bool, prefix: str) -> None:
    reals, count = evaluation.reals, evaluation.num_samples
    if metric.needs_generator and not paths:
        what = "a path length" if metric.walk else "equivariance" if metric.motion else "linear separability"
        raise UserError(
            f"{prefix}metrics={metric.id}",
            rule=f"{what} is a property of a generator, not of stored images",
            fix=f"Use snapshot= instead of images=, or omit {metric.id}",
        )
    if metric.exact_fakes is not None and count != metric.exact_fakes:
        raise UserError(
            f"{prefix}num_samples={count}",
            rule=f"{metric.id} is defined for exactly {metric.exact_fakes} images",
            fix=f"Use {prefix}num_samples={metric.exact_fakes}, or a metric for any number of images, such as fid",
        )
    formula, options = metric.formula, evaluation.settings
    _check_count(f"{prefix}num_samples", count, formula.min_fakes(options), metric, evaluation)
    if isinstance(reals, PublishedReals):
        if metric.kind != "moments" or metric.exact_fakes is not None:
            raise UserError(
                f"{prefix}metrics={metric.id}",
                rule=f"{reals.name} holds a mean and a covariance divided by N - 1, and {metric.id} needs more",
                fix="Use fid or the fd_<extractor> of these statistics, or real images with data.path=",
            )
        return
    if metric.uses_latents:
        _check_labels(metric, reals, prefix)
    _check_count("number of reals", reals.num_images, formula.min_reals(options), metric, evaluation)


def _check_labels(metric: Metric, reals: RealImages, prefix: str) -> None:
    attributes = attributes_of(reals)
    if attributes is not None and bool((attributes.any(dim=0) & ~attributes.all(dim=0)).any()):
        return
    problem = "has no labels" if attributes is None else "has equal labels for all images"
    raise UserError(
        f"{prefix}metrics={metric.id}",
        rule=f"linear separability needs images with different labels, and {reals.name} {problem}",
        fix=f"Prepare the dataset with labels=folders|FILE.csv|FILE.json, or omit {metric.id}",
    )


def _check_count(what: str, count: int, least: int, metric: Metric, evaluation: "Evaluation") -> None:
    if count >= least:
        return
    option = metric.formula.size_option
    lower = f", or lower evaluation.{option} (now {getattr(evaluation.settings, option)})" if option else ""
    raise UserError(
        f"{what}={count}",
        rule=f"{metric.id} needs at least {least}",
        fix=f"Use more images{lower}, or omit {metric.id}",
    )


def check_network(
    ids: Sequence[str], noise: str, generator: StyleGenerator | type[StyleGenerator], prefix: str = ""
) -> None:
    """Raise UserError for the equivariance of a network whose input cannot be moved, or another noise of one without.

    Args:
        ids: keys of `METRICS`; unknown ones are ignored.
        noise: see `Protocol`.
    """
    moving = [i for i in ids if i in METRICS and METRICS[i].motion is not None]
    if moving and not generator.takes_transform:
        raise UserError(
            f"{prefix}metrics={moving[0]}",
            rule=f"it moves the input of the network, and the input of {generator.name} is fixed",
            fix=f"Omit {', '.join(moving)}, or use a StyleGAN3 network",
        )
    if noise != "random" and generator.takes_transform:  # StyleGAN3, which has no noise
        raise UserError(
            f"evaluation.noise={noise}",
            rule=f"this network is {generator.name}, without noise inputs",
            fix="Omit evaluation.noise",
        )
