"""What can be wrong with an evaluation, found before training starts or anything is computed."""

from collections.abc import Sequence
from pathlib import Path

from stylegen.errors import UserError, unknown_choice
from stylegen.features import DISTANCES, build_distance, build_extractor
from stylegen.features.weights import FILES_OF, PUBLISHED, is_own_file, require_all_weights
from stylegen.metrics.engine.real_sets import PublishedReals
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.protocol.metric import DEFAULT_OPTIONS, MetricOptions
from stylegen.metrics.protocol.protocol import OFFICIAL, Protocol
from stylegen.metrics.protocol.registry import METRICS


def check_metrics(
    ids: Sequence[str],
    num_fakes: int,
    reals: RealImages,
    *,
    weights: str | Path | None = None,
    options: MetricOptions = DEFAULT_OPTIONS,
    protocol: Protocol = OFFICIAL,
    walks: bool = True,
    prefix: str = "",
    open_weights: bool = True,
) -> None:
    """Everything that can be wrong with an evaluation, found before training starts; may download weights.

    Args:
        walks: the pictures come from a generator whose latents can be walked through.
        prefix: of the settings' names in messages: "evaluation." in training.
        open_weights: also open a weights file of the user's own, which no published hash vouches for.

    Raises:
        UserError: no id or an unknown one; fewer fakes or reals than a metric needs, or another number than its name
            promises; `mirror_reals` for a metric that decides it; reals that are neither grey nor RGB; a path length of
            pictures without a generator; a metric that needs more than published statistics; weights that cannot be
            had, or do not fit.
    """
    if not ids:
        raise unknown_choice(f"{prefix}metrics", "[]", METRICS)
    for metric_id in ids:
        if metric_id not in METRICS:
            raise unknown_choice(f"{prefix}metrics", metric_id, METRICS)
    if reals.spec.channels not in (1, 3):
        raise UserError(
            f"{reals.name} has {reals.spec.channels} channels",
            rule="metrics are defined for grey (1) and RGB (3) pictures, not for an alpha channel",
            fix="Flatten the pictures onto a background, or measure nothing (evaluation=none in training)",
        )
    for metric_id in ids:
        _check_metric(metric_id, num_fakes, reals, options, walks, prefix)
        if protocol.mirror_reals and METRICS[metric_id].first_reals is not None:
            raise UserError(
                f"evaluation.mirror_reals=true for {metric_id}",
                rule=f"{metric_id} mirrors its reals where the training mirrored its images, and only there",
                fix="Leave it out",
            )
    for extractor in by_extractor(ids):
        require_all_weights(extractor, weights)
        if open_weights and is_own_file(weights) and (extractor in PUBLISHED or extractor in FILES_OF):
            (build_distance if extractor in DISTANCES else build_extractor)(extractor, weights)


def by_extractor(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids, each once, under the extractor through which they look."""
    groups: dict[str, list[str]] = {}
    for metric_id in dict.fromkeys(ids):
        groups.setdefault(METRICS[metric_id].extractor, []).append(metric_id)
    return groups


def _check_metric(
    metric_id: str, num_fakes: int, reals: RealImages, options: MetricOptions, walks: bool, prefix: str
) -> None:
    metric = METRICS[metric_id]
    if metric.walk is not None and not walks:
        raise UserError(
            f"{prefix}metrics={metric_id}",
            rule="a path length is a generator's, and stored pictures have none",
            fix=f"Give snapshot= in place of images=, or leave {metric_id} out",
        )
    if metric.exact_fakes is not None and num_fakes != metric.exact_fakes:
        raise UserError(
            f"{prefix}num_samples={num_fakes}",
            rule=f"{metric_id} promises exactly {metric.exact_fakes} pictures, for a score moves with their number",
            fix=f"Use {prefix}num_samples={metric.exact_fakes}, or a metric of any number such as fid",
        )
    _check_count(metric_id, f"{prefix}num_samples", num_fakes, metric.min_fakes(options), options)
    if isinstance(reals, PublishedReals):
        if metric.kind != "moments" or metric.exact_fakes is not None:
            raise UserError(
                f"{prefix}metrics={metric_id}",
                rule=f"{reals.name} holds a mean and a covariance divided by N - 1, and {metric_id} needs more",
                fix="Use fid, or a fd_<extractor> whose statistics these are, or give the pictures",
            )
        return
    _check_count(metric_id, "number of reals", reals.num_images, metric.min_reals(options), options)


def _check_count(metric_id: str, what: str, count: int, least: int, options: MetricOptions) -> None:
    if count >= least:
        return
    option = METRICS[metric_id].size_option
    lower = f", or lower evaluation.{option} (now {getattr(options, option)})" if option else ""
    raise UserError(
        f"{what}={count}",
        rule=f"{metric_id} needs at least {least}",
        fix=f"Use more pictures{lower}, or leave {metric_id} out",
    )
