"""K + 1 classes: the softmax over K + 1 logits, written out."""

import numpy as np
import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.semi_supervised import SemiSupervised
from tests.support.loss_formulas import assert_formulas, record


def half_labeled(seed: int) -> DiscriminatorOutputs:
    """Every second image has a label; the logit is the head's, log sum exp."""
    found = record(seed)
    labels = found.labels.clone()
    labels[1::2] = 0
    return found._replace(labels=labels)


def probabilities(label_logits: np.ndarray, generated: float) -> np.ndarray:
    """Softmax over K + 1 classes, the last one "generated"."""
    whole = np.exp(np.append(label_logits, generated))
    return whole / whole.sum()


def d(r: DiscriminatorOutputs, f: DiscriminatorOutputs) -> float:
    """-log p(y | x, y < K + 1) of labeled images, and half of the unsupervised loss of the paper's section 5.

    The head sets f = log sum exp(l) with l_{K+1} = 0; here both are free, so p(K + 1) is 1 - sigmoid(f).
    """
    supervised, labeled = 0.0, 0
    for logits, label in zip(r.label_logits, r.labels, strict=True):
        if label.any():
            p = probabilities(logits, 0.0)
            supervised -= np.log(p[label.argmax()] / (1 - p[-1]))
            labeled += 1
    generated = lambda outputs: 1 / (1 + np.exp(outputs.logits))  # noqa: E731
    unsupervised = -np.log(1 - generated(r)).mean() - np.log(generated(f)).mean()
    return supervised / labeled + 0.5 * unsupervised


def g(r: DiscriminatorOutputs, f: DiscriminatorOutputs) -> float:
    return np.mean([abs(r.features[:, k].mean() - f.features[:, k].mean()) for k in range(r.features.shape[1])])


def test_by_the_papers_formula() -> None:
    assert_formulas(SemiSupervised(), d, g, half_labeled(0), half_labeled(1))


def test_a_softmax_before_the_cross_entropy_is_another_loss() -> None:
    """PyTorch-GAN's sgan.py: nn.Softmax, then nn.CrossEntropyLoss. Its loss is bounded below by
    log(1 + (K - 1) / e), far from 0 for certain and right answers."""
    real, fake = half_labeled(0), half_labeled(1)
    certain = real._replace(label_logits=50 * real.labels, logits=torch.full((5, 1), 50.0).double())
    rejected = fake._replace(logits=torch.full((5, 1), -50.0).double())
    assert SemiSupervised().discriminator(certain, rejected) < 1e-9
    twice = certain._replace(label_logits=certain.label_logits.softmax(dim=1))
    assert SemiSupervised().discriminator(twice, rejected) > np.log(1 + 2 / np.e) - 1e-9


def test_without_any_label_the_supervised_part_is_zero() -> None:
    real, fake = record(0, torch.zeros(5, 3).double()), record(1)
    expected = torch.nn.functional.softplus(-real.logits).mean() + torch.nn.functional.softplus(fake.logits).mean()
    torch.testing.assert_close(SemiSupervised(1.0).discriminator(real, fake), expected)
