"""Rules over the curves of a run. Each takes `Evidence` and returns its findings; thresholds carry their reasons."""

import math
from collections.abc import Mapping
from typing import Any

from stylegen.diagnosis.evidence import Evidence, Finding
from stylegen.metrics.protocol.registry import better_direction

# D's certainty, the geometric mean of the probability that it gives the right answer, is 0.5 if it cannot distinguish
# real from generated images, and 1 if it never errs. At 0.95 an image of G changes D's answer once in twenty times.
WINNING = 0.95
# Within 0.01 of guessing, D's gradient is noise. Below 0.25 = 0.5^2 its loss is more than twice the loss of a D whose
# logits are 0: its last steps made it worse than no D at all.
GUESSING = 0.51
DIVERGED = 0.25
# exp(-87) is about the smallest normal float32: beyond it, a logit on the right side has no gradient left in D's loss.
# Relativistic losses depend on differences of logits, which may drift together.
UNDERFLOW = 87.0
# Softplus terms in the discriminator's loss, by loss: each is -log of the probability of the right answer.
TERMS = {"nonsaturating": 2, "minimax": 2, "relativistic": 1}
# Scaling D's last layer by s scales its logits by s and the R1 term by s^2. Where D has settled, the derivative at
# s = 1 is zero: 2 R1 = E sum x sigmoid(-x), over the terms of the loss and with x = +-logit, positive if D is right.
# x sigmoid(-x) is at most 0.2785 (at x = 1.28), so R1 settles at most at 0.139 for each term. Twice that leaves room
# for a generator that keeps moving; healthy runs had 0.19 in the end, and 0.43 once in their first kimg.
R1_SETTLED = 0.139
R1_EXCESS = 2.0
# In 24 healthy runs of the default recipe, R1's share of D's loss was 0.08 to 0.45 with gamma from 0.2 to 5, and 0.02
# to 0.04 with gamma=0.05. Below 0.01 it changes D's loss by less than a percent, as if it were absent.
R1_LEAST_SHARE = 0.01
# The target a of the path length is an average with time constant 1 / decay evaluations; after three of them 5 % of the
# start is left. A penalty that has doubled since then does not come from the start.
SETTLING = 3.0
GROWN = 2.0
# Two evaluations in a row, both 10 % worse than the best: one alone may be noise.
WORSE = 0.10
# One step in a thousand without an update costs nothing; half precision may skip that many.
SKIPPED = 0.001
SKIPPED_MOST = 0.1
# A rate below a thousandth of the setting changes nothing; a cosine that ends with the run spends 2 % of it there.
RATE_ZERO = 0.001
IDLE_SHARE = 0.05
# ADA: p rises while the sign of D's logits for real images is above its target of 0.6; at 0.8 nine of ten are positive.
SIGN_MOST = 0.8
# Above 0.8 augmentations begin to leak into the samples (Karras et al. 2020a, arXiv 2006.06676, section 2.2).
P_MOST = 0.8


def loss_terms(evidence: Evidence) -> int | None:
    """Softplus terms in D's loss; None for a loss that is unknown here."""
    name = evidence.settings.get("loss.name")
    if evidence.settings.get("loss.kind", "standard") != "standard":
        return None
    return 2 if evidence.settings.get("loss.pairing") == "average" else TERMS.get(str(name))


def certainty(evidence: Evidence) -> float | None:
    """exp(-loss/D / terms), in (0, 1), over the last quarter of the run."""
    loss, terms = evidence.late("loss/D"), loss_terms(evidence)
    return None if loss is None or terms is None else math.exp(-loss / terms)


def lower_rates(evidence: Evidence) -> str:
    """The fix for steps that overshoot: a quarter of both rates."""
    rates = {name: evidence.settings.get(f"optimizer.{name}") for name in ("g_lr", "d_lr")}
    known = {name: rate for name, rate in rates.items() if rate}
    return "Use " + " ".join(f"optimizer.{name}={rate / 4:g}" for name, rate in known.items())


def discriminator_wins(evidence: Evidence) -> list[Finding]:
    """D is nearly always right, so its gradient gives G no direction."""
    sure = certainty(evidence)
    if sure is None or sure <= WINNING:
        return []
    real, fake, sign = (evidence.late(name) for name in ("score/real", "score/fake", "augment/sign"))
    scores = [f"{what} {value:.2g}" for what, value in (("real", real), ("fake", fake)) if value is not None]
    signs = "" if sign is None else f" Mean sign of the real logits: {sign:.2f}."
    few = "augment.name" not in evidence.settings
    fix = (
        "Add augment=ada (augment=ada_short below 100 kimg), or more images"
        if few
        else "Use more images, or a larger regularizers.r1.gamma"
    )
    return [
        Finding(
            "discriminator_wins",
            "failure",
            f"The discriminator is right with certainty {sure:.3f} (scores: {', '.join(scores)}).{signs}",
            f"certainty exp(-loss/D / terms) above {WINNING:g} in the last quarter",
            fix,
            {"certainty": sure, "score/real": real, "score/fake": fake, "augment/sign": sign},
        )
    ]


def discriminator_guesses(evidence: Evidence) -> list[Finding]:
    """D cannot distinguish real from generated images; before the samples are perfect that means it does not learn."""
    sure, gamma = certainty(evidence), evidence.settings.get("regularizers.r1.gamma", 0)
    if sure is None or not DIVERGED <= sure < GUESSING:
        return []
    return [
        Finding(
            "discriminator_guesses",
            "failure",
            f"The discriminator guesses: its certainty is {sure:.3f}, so the generator learns nothing from it.",
            f"certainty exp(-loss/D / terms) from {DIVERGED:g} to {GUESSING:g} in the last quarter",
            f"Use regularizers.r1.gamma={gamma / 5:g}" if gamma > 10 else lower_rates(evidence),
            {"certainty": sure},
        )
    ]


def scores_diverge(evidence: Evidence) -> list[Finding]:
    """D is worse than one that always answers 0, or its scores have left the range of its loss: steps overshoot."""
    sure, loss = certainty(evidence), evidence.late("loss/D")
    scores = {name: evidence.late(f"score/{name}") for name in ("real", "fake")}
    known = {name: value for name, value in scores.items() if value is not None}
    alone = evidence.settings.get("loss.name") in ("nonsaturating", "minimax")
    lost = alone and any(abs(value) > UNDERFLOW for value in known.values())
    if sure is None or (sure >= DIVERGED and not lost):
        return []
    named = ", ".join(f"{name} {value:.3g}" for name, value in known.items())
    return [
        Finding(
            "scores_diverge",
            "failure",
            f"Training diverges: the discriminator's loss is {loss:.3g} (scores: {named}).",
            f"certainty exp(-loss/D / terms) below {DIVERGED:g}, twice the loss of guessing, or a score beyond "
            f"{UNDERFLOW:g}, where its loss has no gradient, in the last quarter",
            lower_rates(evidence),
            {"loss/D": loss, "score/real": scores["real"], "score/fake": scores["fake"]},
        )
    ]


def r1_out_of_range(evidence: Evidence) -> list[Finding]:
    """R1 above the value at which D can settle, or too small a share of D's loss to matter."""
    r1, loss, terms = evidence.late("reg/r1"), evidence.late("loss/D"), loss_terms(evidence)
    gamma = evidence.settings.get("regularizers.r1.gamma", 0)
    if r1 is None or loss is None or terms is None or not gamma:
        return []
    most, share = R1_EXCESS * R1_SETTLED * terms, r1 / max(loss, 1e-12)
    if r1 > most:
        return [
            Finding(
                "r1_too_large",
                "failure",
                f"R1 is {r1:.3g}, {share:.2g} of the discriminator's loss: each step moves it too far to settle.",
                f"reg/r1 above {most:.2f} in the last quarter, {R1_EXCESS:g} times the most at which it can settle",
                lower_rates(evidence),
                {"reg/r1": r1, "share": share},
            )
        ]
    if share >= R1_LEAST_SHARE:
        return []
    return [
        Finding(
            "r1_too_small",
            "problem",
            f"R1 is {share:.2g} of the discriminator's loss, too little to limit its gradient norm.",
            f"reg/r1 below {R1_LEAST_SHARE:g} of loss/D in the last quarter; usual is 0.08 to 0.45",
            f"Use regularizers.r1.gamma={10 * gamma:g}",
            {"reg/r1": r1, "share": share},
        )
    ]


def path_length_unsettled(evidence: Evidence) -> list[Finding]:
    """The path length penalty grows after its target has caught up."""
    settings, series = evidence.settings, evidence.series("reg/path_length")
    decay, every = (settings.get(f"regularizers.path_length.{name}") for name in ("decay", "every"))
    if not decay or not every:
        return []
    start = SETTLING / decay * every * settings.get("batch_size", 1) / 1000
    settled = [value for kimg, value in series if kimg > start]
    if len(settled) < 8:
        return []
    quarter = len(settled) // 4
    before, after = (sorted(part)[len(part) // 2] for part in (settled[:quarter], settled[-quarter:]))
    if after <= GROWN * before:
        return []
    return [
        Finding(
            "path_length_unsettled",
            "problem",
            f"The path length penalty has grown from {before:.3g} to {after:.3g} since {start:g} kimg.",
            f"reg/path_length more than {GROWN:g} times its value after the target has caught up ({start:.3g} kimg)",
            f"Use regularizers.path_length.weight={settings.get('regularizers.path_length.weight', 2) / 4:g} "
            "or a lower optimizer.g_lr",
            {"before": before, "after": after},
        )
    ]


def metric_rises(evidence: Evidence) -> list[Finding]:
    """The first metric with a direction has become worse again."""
    names = dict.fromkeys(name for record in evidence.records for name in record if name.startswith("metric/"))
    name = next((name for name in names if better_direction(name.removeprefix("metric/"))), None)
    series = evidence.series(name) if name else []
    if name is None or len(series) < 3:
        return []
    sign = 1 if better_direction(name.removeprefix("metric/")) == "lower" else -1
    kimg, best = min(series, key=lambda pair: sign * pair[1])
    if any(sign * (value - best) <= WORSE * abs(best) or later <= kimg for later, value in series[-2:]):
        return []
    return [
        Finding(
            "metric_rises",
            "problem",
            f"{name.removeprefix('metric/')} was best at {kimg:g} kimg, {best:.4g}, and is {series[-1][1]:.4g} now.",
            f"the last two evaluations are more than {WORSE:.0%} worse than the best",
            "Use snapshot=RUN/best.safetensors, and augment=ada or more images for a longer run",
            {"best": best, "best_kimg": kimg, "last": series[-1][1]},
        )
    ]


def steps_skipped(evidence: Evidence) -> list[Finding]:
    """Steps with non-finite gradients, restarts after divergence, losses that are not finite."""
    skipped = [value for _, value in evidence.series("grad/nonfinite")]
    share = sum(skipped) / len(skipped) if skipped else 0.0
    last: Mapping[str, Any] = next((r for r in reversed(evidence.records) if "loss/D" in r), {})
    lost = [name for name in ("loss/G", "loss/D") if name in last and last[name] is None]
    if not (share > SKIPPED or evidence.recoveries or lost):
        return []
    parts = [f"{share:.2%} of the optimizer's steps had non-finite gradients and were skipped"]
    parts += [f"the run went back to a checkpoint {evidence.recoveries} times"] * bool(evidence.recoveries)
    parts += [f"{' and '.join(lost)} are not finite now"] * bool(lost)
    half = evidence.settings.get("precision") in ("fp16", "bf16")
    return [
        Finding(
            "steps_skipped",
            "failure" if lost or share > SKIPPED_MOST else "problem",
            f"{'; '.join(parts)}.",
            f"grad/nonfinite above {SKIPPED:g} in the mean, a restart, or a loss without a finite value",
            "Use precision=fp32" if half else lower_rates(evidence),
            {"share": share, "recoveries": evidence.recoveries},
        )
    ]


def rate_is_zero(evidence: Evidence) -> list[Finding]:
    """Part of the run at a learning rate of zero."""
    for network, setting in (("G", "optimizer.g_lr"), ("D", "optimizer.d_lr")):
        series, rate = evidence.series(f"lr/{network}"), evidence.settings.get(setting, 0)
        idle = [kimg for kimg, value in series if value < RATE_ZERO * rate]
        if series and len(idle) > IDLE_SHARE * len(series):
            return [
                Finding(
                    "rate_is_zero",
                    "problem",
                    f"The learning rate of {network} was zero in {len(idle)} of {len(series)} records, "
                    f"from {idle[0]:g} kimg on: nothing is learned there.",
                    f"lr/{network} below {RATE_ZERO:g} of {setting} in more than {IDLE_SHARE:.0%} of the records",
                    "Use optimizer.decay_to=0.1, or let optimizer.decay_start_kimg + optimizer.decay_kimg end with "
                    f"total_kimg={evidence.settings.get('total_kimg', 0):g}",
                    {"idle": len(idle), "records": len(series), "from_kimg": idle[0]},
                )
            ]
    return []


def augmentation_behind(evidence: Evidence) -> list[Finding]:
    """ADA does not hold the sign of the real logits, or augments so strongly that augmentations leak."""
    sign, p, target = (
        evidence.late("augment/sign"),
        evidence.late("augment/p"),
        evidence.settings.get("augment.target"),
    )
    if sign is None or p is None or target is None or evidence.kimg < evidence.settings.get("augment.speed_kimg", 500):
        return []  # p has had no time to rise
    if sign <= SIGN_MOST and p <= P_MOST:
        return []
    return [
        Finding(
            "augmentation_behind",
            "problem",
            f"The mean sign of the real logits is {sign:.2f} at augmentation probability {p:.2f}: "
            "the discriminator overfits more than augmentation can prevent.",
            f"augment/sign above {SIGN_MOST:g} (target {target:g}) or augment/p above {P_MOST:g} after "
            "augment.speed_kimg",
            "Use more images, init=RUN of a similar dataset, or a larger regularizers.r1.gamma",
            {"augment/sign": sign, "augment/p": p},
        )
    ]
