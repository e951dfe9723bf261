"""Rules over settings and training images: causes, which are listed before the symptoms in the curves."""

from stylegen.config.user_dataset import PASSES
from stylegen.diagnosis.evidence import Evidence, Finding
from stylegen.regularizers import GRADIENT_REGULARIZERS

# Equalized layers keep their weights at unit variance, and Adam moves each by about the rate: at 0.025, ten times the
# published 0.0025, forty steps replace a weight. The default recipe trained at 0.02 for G and 0.01 for D.
RATE_PUBLISHED = 0.0025
RATE_MOST = 0.025
# Repeated images are sampled more often than others. At 3/4 of the effective number the run learns from a dataset that
# is a quarter smaller. (The portraits have 0.86, 72 pairs among 894 images, and train well.)
EFFECTIVE_LEAST = 0.75
# A class with a tenth of the average is in one of ten batches in which the others are.
FEW_OF_CLASS = 0.1
_NAMED = 5  # classes named in a finding


def rate_too_high(evidence: Evidence) -> list[Finding]:
    """A learning rate at which a few dozen steps replace the weights."""
    rates = {name: evidence.settings.get(f"optimizer.{name}", 0) for name in ("g_lr", "d_lr")}
    high = {f"optimizer.{name}": rate for name, rate in rates.items() if rate > RATE_MOST}
    if not high:
        return []
    given = " and ".join(f"{name}={rate:g}" for name, rate in high.items())
    return [
        Finding(
            "rate_too_high",
            "failure",
            f"{given}: a few dozen steps replace the weights, so training forgets what it has learned.",
            f"a rate above {RATE_MOST:g}, ten times the published {RATE_PUBLISHED:g}",
            f"Use {' '.join(f'{name}={RATE_PUBLISHED:g}' for name in high)}",
            rates,
        )
    ]


def r1_missing(evidence: Evidence) -> list[Finding]:
    """Nothing limits the norm of D's gradient."""
    others = (key.split(".")[1] for key in evidence.settings if key.startswith("regularizers."))
    if evidence.settings.get("regularizers.r1.gamma") or GRADIENT_REGULARIZERS & set(others):
        return []
    return [
        Finding(
            "r1_missing",
            "problem",
            "The run has no R1 penalty: nothing limits the norm of the discriminator's gradient at real images.",
            "regularizers.r1.gamma above 0; without a penalty GAN training need not converge (arXiv 1801.04406)",
            "Use regularizers=r1 regularizers.r1.gamma=1, and up to 10 for larger images",
            {"gamma": 0},
        )
    ]


def too_few_images(evidence: Evidence) -> list[Finding]:
    """Each image is shown so often that D memorizes the images."""
    data, settings = evidence.data, evidence.settings
    if data is None or "augment.name" in settings:
        return []
    mirror = settings.get("data.mirror")
    images = data.num_images * (2 if mirror else 1)
    now, end = (1000 * kimg / images for kimg in (evidence.kimg, settings.get("total_kimg", 0)))
    if max(now, end) <= PASSES:
        return []
    when = f"{now:.0f} times each so far" if now > PASSES else f"{end:.0f} times each by the end"
    return [
        Finding(
            "too_few_images",
            "problem" if now > PASSES else "advice",
            f"{data.num_images} images{' and their mirror images' if mirror else ''} are shown {when}, without "
            "augmentation: the discriminator may memorize them.",
            f"more than {PASSES} passes over the images without augmentation",
            "Add augment=ada (augment=ada_short below 100 kimg), more images, or init=RUN",
            {"images": data.num_images, "passes": now, "passes_at_end": end},
        )
    ]


def repeated_images(evidence: Evidence) -> list[Finding]:
    """Images with the same pixels."""
    data = evidence.data
    if data is None or data.effective >= EFFECTIVE_LEAST * data.checked:
        return []
    example = f" (for example {data.example[0]} and {data.example[1]})" if data.example else ""
    return [
        Finding(
            "repeated_images",
            "problem",
            f"{data.repeated} of {data.checked} images have the same pixels as an earlier one{example}: they count as "
            f"{data.effective:.0f} different images.",
            f"an effective number of images, n^2 / sum of copies^2, below {EFFECTIVE_LEAST:g} of their number",
            "Remove them from the source, and prepare it again (python -m stylegen prepare source=DIR out=FILE.zip)",
            {"repeated": data.repeated, "checked": data.checked, "effective": data.effective},
        )
    ]


def classes_without_images(evidence: Evidence) -> list[Finding]:
    """Classes with no or hardly any images."""
    counts = evidence.data.class_counts if evidence.data is not None else ()
    present = [count for count in counts if count]
    if evidence.data is None or not present:
        return []
    average, name = sum(present) / len(present), evidence.data.class_name
    empty = [label for label, count in enumerate(counts) if not count]
    scarce = [label for label, count in enumerate(counts) if 0 < count < FEW_OF_CLASS * average]
    found = []
    if empty:
        found.append(
            Finding(
                "class_without_images",
                "failure",
                f"{_classes([name(k) for k in empty])} of {len(counts)} {'has' if len(empty) == 1 else 'have'} no "
                "training image: what the generator shows for it is arbitrary.",
                "each class has at least one image",
                "Add images, or remove the class: prepare the dataset again without it",
                {"classes": empty},
            )
        )
    if scarce:
        numbers = [f"{name(k)}: {counts[k]}" for k in scarce]
        found.append(
            Finding(
                "class_with_few_images",
                "problem",
                f"{_classes(numbers)} images, and {average:.0f} in an average class.",
                f"each class has at least {FEW_OF_CLASS:g} of the average number of images",
                "Add images of the class, or prepare the dataset again without it",
                {"classes": scarce},
            )
        )
    return found


def _classes(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'Class' if len(names) == 1 else 'Classes'} {', '.join(names[:_NAMED])}{more}"
