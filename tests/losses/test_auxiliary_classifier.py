"""ACGAN's terms; the adversarial part has its own tests."""

import numpy as np
import pytest
import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import UserError
from stylegen.losses.auxiliary_classifier import ADVERSARIAL, AuxiliaryClassifier
from tests.support.loss_formulas import assert_formulas, record

sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731


def cross_entropy(outputs: DiscriminatorOutputs) -> float:
    total = 0.0
    for logits, label in zip(outputs.label_logits, outputs.labels, strict=True):
        probabilities = np.exp(logits) / np.exp(logits).sum()
        total -= np.log(probabilities[label.argmax()])
    return total / len(outputs.logits)


def binary_cross_entropy(outputs: DiscriminatorOutputs) -> float:
    p, labels = sigmoid(outputs.label_logits), outputs.labels
    return -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))


ADVERSARIAL_FORMULAS = {
    "nonsaturating": (
        lambda r, f: -np.log(sigmoid(r.logits)).mean() - np.log(1 - sigmoid(f.logits)).mean(),
        lambda f: -np.log(sigmoid(f.logits)).mean(),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r.logits).mean() + np.maximum(0, 1 + f.logits).mean(),
        lambda f: -f.logits.mean(),
    ),
}


@pytest.mark.parametrize("adversarial", ADVERSARIAL_FORMULAS)
@pytest.mark.parametrize(("targets", "error"), [("class", cross_entropy), ("attributes", binary_cross_entropy)])
@pytest.mark.parametrize("classify_fake", [True, False])
def test_by_the_papers_formula(targets: str, error: object, adversarial: str, classify_fake: bool) -> None:
    d, g = ADVERSARIAL_FORMULAS[adversarial]
    labels = None if targets == "class" else torch.rand(5, 3, generator=torch.Generator().manual_seed(3)).double()
    assert_formulas(
        AuxiliaryClassifier(adversarial, targets, d_weight=0.7, g_weight=0.3, classify_fake=classify_fake),
        d=lambda r, f: d(r, f) + 0.7 * (error(r) + (error(f) if classify_fake else 0)),
        g=lambda r, f: g(f) + 0.3 * error(f),
        real=record(0, labels),
        fake=record(1, labels),
    )


def test_images_without_a_label_have_no_class_error() -> None:
    labels = torch.eye(3).double()[[0, 1, 2, 0, 1]]
    labels[3:] = 0
    loss, real, fake = AuxiliaryClassifier("wasserstein"), record(0, labels), record(1)
    logits = real.label_logits.requires_grad_()
    (gradient,) = torch.autograd.grad(loss.discriminator(real, fake), logits)
    assert gradient[:3].abs().sum(dim=1).min() > 0
    assert not gradient[3:].any()


def test_unknown_names_are_refused() -> None:
    assert "began" not in ADVERSARIAL
    with pytest.raises(UserError, match=r"loss\.adversarial=began.*hinge"):
        AuxiliaryClassifier(adversarial="began")
    with pytest.raises(UserError, match=r"loss\.targets=atributes.*Did you mean attributes"):
        AuxiliaryClassifier(targets="atributes")
