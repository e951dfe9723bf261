"""Rules over the samples of snapshots: diversity, relative to the training images."""

from stylegen.diagnosis.evidence import Evidence, Finding, SampleFacts

# The squared distance of two random images is twice the variance, so a quarter of the distance is a sixteenth of the
# variance. Of 58 snapshots of healthy runs the least was 0.35 in the first 10 kimg, and 0.67 from 12 kimg on.
COLLAPSED = 0.25
# Samples whose nearest neighbor is a quarter as far as a real image's are repetitions; healthy: at least 0.53.
REPEATING = 0.25
# Diversity grows while training learns. Half of an earlier snapshot's was never seen in a healthy run.
FALLEN = 0.5


def samples_collapse(evidence: Evidence) -> list[Finding]:
    """Samples are alike, or are few different ones, or have lost diversity since an earlier snapshot."""
    if not evidence.samples:
        return []
    last = evidence.samples[-1]
    best = max(evidence.samples, key=lambda facts: facts.spread)
    values = {"spread": last.spread, "nearest": last.nearest, "kimg": last.kimg}
    if last.spread < COLLAPSED:
        text, limit = _alike(last), f"mean distance below {COLLAPSED:g} of the data's"
    elif last.nearest < REPEATING:
        text = (
            f"Samples repeat each other: at {last.kimg:g} kimg the distance of the nearest other sample is "
            f"{last.nearest:.2f} of the data's."
        )
        limit = f"median distance of the nearest other sample below {REPEATING:g} of the data's"
    elif last.spread < FALLEN * best.spread:
        text = (
            f"Samples have lost diversity: their mean distance was {best.spread:.2f} of the data's at {best.kimg:g} "
            f"kimg, and is {last.spread:.2f} at {last.kimg:g} kimg."
        )
        limit = f"mean distance below {FALLEN:g} of an earlier snapshot's"
    else:
        return []
    fix = "Remove the cause above; without one, use a larger regularizers.r1.gamma and a lower optimizer.g_lr"
    return [Finding("samples_collapse", "failure", text, limit, fix, values)]


def _alike(facts: SampleFacts) -> str:
    return f"Samples are alike: at {facts.kimg:g} kimg their mean distance is {facts.spread:.2f} of the data's."


def classes_collapse(evidence: Evidence) -> list[Finding]:
    """Samples of one class are alike."""
    if not evidence.samples or evidence.samples[-1].spread < COLLAPSED:
        return []
    last = evidence.samples[-1]
    alike = {label: spread for label, spread in last.class_spread.items() if spread < COLLAPSED}
    if not alike:
        return []
    name = evidence.data.class_name if evidence.data is not None else str
    classes = ", ".join(f"{name(label)} ({spread:.2f})" for label, spread in alike.items())
    return [
        Finding(
            "class_collapses",
            "failure",
            f"Samples of one class are alike at {last.kimg:g} kimg: {classes} of the distance of its images.",
            f"mean distance in a class below {COLLAPSED:g} of its images'",
            "Add images of the class, or prepare the dataset again without it",
            {"classes": dict(alike)},
        )
    ]
