"""Each rule over curves, on both sides of its threshold."""

import math

import pytest

from stylegen.diagnosis import curve_rules as rules
from stylegen.diagnosis.evidence import Evidence, Finding

SETTINGS = {"loss.name": "nonsaturating", "regularizers.r1.gamma": 1.0, "batch_size": 8, "total_kimg": 16.0}


def evidence(settings=(), recoveries=0, count=16, **curves):
    """A run of `count` records, one each kimg; a curve is a constant or a list, and `_` in its name means `/`."""
    values = {name.replace("_", "/", 1): v if isinstance(v, list) else [v] * count for name, v in curves.items()}
    records = [{"kimg": k + 1.0} | {name: values[name][k] for name in values} for k in range(count)]
    return Evidence(records, SETTINGS | dict(settings), recoveries)


def names(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def loss_at(certainty: float) -> float:
    """The nonsaturating loss of a discriminator with this certainty: two terms."""
    return -2 * math.log(certainty)


@pytest.mark.parametrize(("certainty", "found"), [(0.949, []), (0.951, ["discriminator_wins"])])
def test_a_discriminator_that_is_nearly_always_right(certainty, found):
    run = evidence(loss_D=loss_at(certainty), score_real=4.0, score_fake=-4.0)
    assert names(rules.discriminator_wins(run)) == found


def test_the_scores_and_the_sign_are_reported():
    (finding,) = rules.discriminator_wins(evidence(loss_D=0.01, score_real=6.0, score_fake=-7.0, augment_sign=0.99))
    assert "real 6, fake -7" in finding.text
    assert "0.99" in finding.text
    assert finding.severity == "failure"


def test_only_the_last_quarter_counts():
    early = [loss_at(0.99)] * 12 + [loss_at(0.7)] * 4
    assert not rules.discriminator_wins(evidence(loss_D=early))
    assert rules.discriminator_wins(evidence(loss_D=early[::-1][:12] + [loss_at(0.99)] * 4))


@pytest.mark.parametrize(
    ("name", "pairing", "terms"), [("relativistic", "single", 1), ("relativistic", "average", 2), ("minimax", None, 2)]
)
def test_the_terms_of_other_losses(name, pairing, terms):
    run = evidence({"loss.name": name, "loss.pairing": pairing}, loss_D=-terms * math.log(0.9))
    assert rules.certainty(run) == pytest.approx(0.9)


def test_an_unknown_loss_is_not_judged():
    run = evidence({"loss.name": "relativistic", "loss.pairing": "average", "loss.kind": "hinge"}, loss_D=0.0)
    assert rules.certainty(run) is None
    run = evidence({"loss.name": "hinge"}, loss_D=0.0)
    assert rules.certainty(run) is None
    assert not rules.discriminator_wins(run) + rules.discriminator_guesses(run) + rules.r1_out_of_range(run)


@pytest.mark.parametrize(
    ("certainty", "found"),
    [(0.511, []), (0.509, ["discriminator_guesses"]), (0.251, ["discriminator_guesses"]), (0.249, ["scores_diverge"])],
)
def test_a_discriminator_that_guesses_or_diverges(certainty, found):
    run = evidence(loss_D=loss_at(certainty), score_real=1.0, score_fake=2.0)
    assert names(rules.discriminator_guesses(run) + rules.scores_diverge(run)) == found


def test_scores_of_any_size_diverge():
    (finding,) = rules.scores_diverge(evidence(loss_D=5803.59, score_real=16.67, score_fake=-1057391.0))
    assert "scores: real 16.7, fake -1.06e+06" in finding.text


@pytest.mark.parametrize(
    ("loss", "score", "found"),
    [("nonsaturating", -86.0, []), ("nonsaturating", -88.0, ["scores_diverge"]), ("relativistic", -88.0, [])],
)
def test_scores_beyond_the_range_of_the_loss(loss, score, found):
    run = evidence({"loss.name": loss}, loss_D=0.5, score_real=1.0, score_fake=score)
    assert names(rules.scores_diverge(run)) == found


def test_a_discriminator_that_guesses_because_of_a_large_gamma():
    (finding,) = rules.discriminator_guesses(evidence({"regularizers.r1.gamma": 1000.0}, loss_D=2 * math.log(2)))
    assert "regularizers.r1.gamma=200" in finding.fix


@pytest.mark.parametrize(("r1", "found"), [(0.555, []), (0.557, ["r1_too_large"])])
def test_r1_above_the_value_at_which_it_settles(r1, found):
    assert names(rules.r1_out_of_range(evidence(loss_D=0.7, reg_r1=r1))) == found


def test_r1_settles_at_most_at_the_maximum_of_its_formula():
    """2 R1 = E sum x sigmoid(-x): the largest value on a fine grid."""
    most = max(x / (1 + math.exp(x)) for x in (k / 1000 for k in range(-10000, 10000)))
    assert most / 2 == pytest.approx(rules.R1_SETTLED, rel=0.01)


@pytest.mark.parametrize(("r1", "found"), [(0.0071, []), (0.0069, ["r1_too_small"])])
def test_r1_below_its_usual_share(r1, found):
    assert names(rules.r1_out_of_range(evidence(loss_D=0.7, reg_r1=r1))) == found


def test_a_run_without_r1_is_judged_by_its_settings():
    assert not rules.r1_out_of_range(evidence({"regularizers.r1.gamma": 0.0}, loss_D=0.7, reg_r1=0.0))


PATH_LENGTH = {f"regularizers.path_length.{name}": v for name, v in (("decay", 0.01), ("every", 4), ("weight", 2.0))}


@pytest.mark.parametrize(("last", "found"), [(1.9, []), (2.1, ["path_length_unsettled"])])
def test_a_path_length_that_grows(last, found):
    """The target settles in 3 / 0.01 * 4 * 8 = 9,600 images; the curve before that may be anything."""
    curve = [90.0] * 9 + [1.0] * 16 + [last] * 7
    assert names(rules.path_length_unsettled(evidence(PATH_LENGTH, count=32, reg_path_length=curve))) == found


def test_a_path_length_is_not_judged_before_its_target_has_settled():
    assert not rules.path_length_unsettled(evidence(PATH_LENGTH, reg_path_length=[float(k) for k in range(16)]))
    assert not rules.path_length_unsettled(evidence(reg_path_length=[float(k) for k in range(16)]))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([30.0, 20.0, 22.5, 22.5], ["metric_rises"]),
        ([30.0, 20.0, 21.9, 22.5], []),  # one of the last two is within 10 %
        ([30.0, 20.0, 40.0], []),  # a single one may be noise
        ([30.0, 25.0, 20.0], []),
    ],
)
def test_a_metric_that_rises_again(values, found):
    records = [{"kimg": 4.0 * k, "metric/fid": value} for k, value in enumerate(values, 1)]
    assert names(rules.metric_rises(Evidence(records, SETTINGS))) == found


def test_the_best_evaluation_is_named_and_recall_falls():
    values = [0.2, 0.5, 0.3, 0.1]
    (finding,) = rules.metric_rises(
        Evidence([{"kimg": 4.0 * k, "metric/recall": v} for k, v in enumerate(values, 1)], {})
    )
    assert finding.values == {"best": 0.5, "best_kimg": 8.0, "last": 0.1}
    assert "best.safetensors" in finding.fix


@pytest.mark.parametrize(("share", "severity"), [(0.0009, None), (0.0011, "problem"), (0.11, "failure")])
def test_skipped_steps(share, severity):
    found = rules.steps_skipped(evidence(grad_nonfinite=share, loss_D=0.7, loss_G=1.0))
    assert [finding.severity for finding in found] == [severity] * (severity is not None)


def test_restarts_and_losses_that_are_not_finite():
    assert names(rules.steps_skipped(evidence(recoveries=2, grad_nonfinite=0.0))) == ["steps_skipped"]
    (finding,) = rules.steps_skipped(evidence({"precision": "fp16"}, loss_D=[0.7] * 15 + [None], loss_G=1.0))
    assert finding.severity == "failure"
    assert "precision=fp32" in finding.fix


@pytest.mark.parametrize(("idle", "found"), [(1, []), (2, ["rate_is_zero"])])
def test_a_rate_of_zero_in_more_than_a_twentieth_of_the_records(idle, found):
    rates = [0.01] * (32 - idle) + [0.0] * idle
    run = evidence({"optimizer.g_lr": 0.01, "optimizer.d_lr": 0.01}, count=32, lr_G=rates, lr_D=rates)
    assert names(rules.rate_is_zero(run)) == found


@pytest.mark.parametrize(
    ("sign", "p", "kimg", "found"),
    [
        (0.79, 0.79, 50, []),
        (0.81, 0.3, 50, ["augmentation_behind"]),
        (0.6, 0.81, 50, ["augmentation_behind"]),
        (0.99, 0.3, 49, []),  # p has had no time to rise
    ],
)
def test_ada_at_its_limits(sign, p, kimg, found):
    settings = {"augment.name": "ada", "augment.target": 0.6, "augment.speed_kimg": 50.0}
    assert names(rules.augmentation_behind(evidence(settings, count=kimg, augment_sign=sign, augment_p=p))) == found


def test_a_fixed_augmentation_has_no_target():
    settings = {"augment.name": "ada", "augment.target": None, "augment.speed_kimg": 1.0}
    assert not rules.augmentation_behind(evidence(settings, augment_sign=0.99, augment_p=0.2))
