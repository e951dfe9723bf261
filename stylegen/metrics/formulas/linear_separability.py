"""Linear separability of a latent space (Karras et al. 2019, arXiv 1812.04948, section 4.2).

How well a hyperplane predicts binary attributes of an image from its latent. For each attribute i, a classifier labels
the generated images, the less confident half is dropped, and a linear SVM is fitted to predict the label from the
latent, z or w:

    ls = exp(sum_i H(Y_i | X_i)),    H(Y | X) = -sum_xy p(x, y) log p(y | x),

with X the SVM's prediction for the latents that it is fitted to, Y the classifier's label, and p their frequencies.
1 is perfect. Without any relation it is exp(sum_i H(Y_i)) in the limit of many samples, and lower for few, to which the
SVM overfits: that value is measured with the z of other samples.

The paper's classifiers are 40 networks trained on CelebA's attributes; here, an attribute is a label of the dataset,
and its classifier a logistic regression on frozen features of the real images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.metrics.formulas.linear_classifiers import fit, logistic, squared_hinge, with_ones

FOLDS = 5  # of the cross-validation

_C_LOGISTIC = 0.1
"""C for standardized features. Of the powers of 10, it has the lowest held-out loss on most classes of the portraits,
in the features of EfficientNet-Lite0 and of the untrained VGG16."""
_BLOCK = 4096


@dataclass(frozen=True)
class Separability:
    """The metric of each space, and its terms.

    Attributes:
        values: `ls` of w, of z, and of z in a random order, which is independent of the labels.
        attributes: record of each attribute: `share_of_reals` (that have it), `held_out_accuracy` (the classifier's, by
            cross-validation), `share_of_samples` (of the kept ones), `entropy` H(Y), and H(Y|X) as `entropy_w`,
            `entropy_z` and `entropy_independent`, in nats.
    """

    values: tuple[float, float, float]
    attributes: list[dict[str, float]]


def linear_separability(
    fakes: Tensor, reals: Tensor, attributes: Tensor, latents: Mapping[str, Tensor]
) -> Separability:
    """See above. An attribute with one label among the kept samples contributes H = 0.

    Args:
        fakes, reals: features [M, d] and [N, d].
        attributes: bool [N, K], of the reals.
        latents: "w" and "z" of the fakes, [M, dim].
    """
    accuracy = held_out_accuracy(reals, attributes)
    logits = AttributeClassifier.fit(reals, attributes).logits(fakes)
    order = randomness.permutation(len(fakes), 0, "metrics/ls/independent")
    spaces = {"w": latents["w"], "z": latents["z"], "independent": latents["z"][order]}
    terms = []
    for k, column in enumerate(logits.T):
        kept = column.abs().argsort(descending=True, stable=True)[: max(len(column) // 2, 1)].sort().values
        label = column[kept] > 0
        term = {
            "share_of_reals": float(attributes[:, k].double().mean()),
            "held_out_accuracy": float(accuracy[k]),
            "share_of_samples": float(label.double().mean()),
            "entropy": conditional_entropy(torch.zeros_like(label), label),
        }
        for space, rows in spaces.items():
            term[f"entropy_{space}"] = conditional_entropy(svm_prediction(rows[kept], label), label)
        terms.append(term)
    w, z, independent = (math.exp(sum(term[f"entropy_{space}"] for term in terms)) for space in spaces)
    return Separability((w, z, independent), terms)


def conditional_entropy(x: Tensor, y: Tensor) -> float:
    """H(Y | X) in nats of two binary variables, from bool [N] each; 0 log 0 = 0."""
    counts = torch.stack([((x == a) & (y == b)).sum() for a in (False, True) for b in (False, True)])
    joint = counts.double().reshape(2, 2) / len(x)
    return float(torch.special.entr(joint).sum() - torch.special.entr(joint.sum(dim=1)).sum())  # H(X, Y) - H(X)


def svm_prediction(latents: Tensor, label: Tensor) -> Tensor:
    """bool [N]: the linear SVM (squared hinge, C = 1) on the latents [N, dim] to which it is fitted."""
    if bool(label.all()) or not bool(label.any()):
        return label
    rows = with_ones(latents)
    return rows @ fit(rows, label, squared_hinge) > 0


@dataclass(frozen=True)
class AttributeClassifier:
    """A logistic regression for each attribute, on standardized features.

    Args:
        mean, scale: float64 [d], standardize the features: (f - mean) / scale.
        weights: float64 [d + 1, K].
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor

    @classmethod
    def fit(cls, features: Tensor, attributes: Tensor) -> Self:
        """From features [N, d] and attributes bool [N, K]."""
        x = features.double()
        scale = x.std(dim=0, correction=0)
        mean, scale = x.mean(dim=0), torch.where(scale > 0, scale, 1.0)
        rows = with_ones((x - mean) / scale)
        return cls(mean, scale, torch.stack([fit(rows, y, logistic, _C_LOGISTIC) for y in attributes.T], dim=1))

    def logits(self, features: Tensor) -> Tensor:
        """log p / (1 - p) of each attribute: [N, d] -> float64 [N, K]."""
        blocks = features.split(_BLOCK)
        return torch.cat([with_ones((part.double() - self.mean) / self.scale) @ self.weights for part in blocks])


def held_out_accuracy(features: Tensor, attributes: Tensor) -> Tensor:
    """[K]: share of correct labels on images that the classifier has not seen, by 5-fold cross-validation (keyed)."""
    fold = torch.empty(len(features), dtype=torch.int64)
    fold[randomness.permutation(len(features), 0, "metrics/ls/folds")] = torch.arange(len(features)) % FOLDS
    correct = torch.zeros(attributes.shape[1], dtype=torch.float64)
    for k in range(FOLDS):
        classifier = AttributeClassifier.fit(features[fold != k], attributes[fold != k])
        correct += ((classifier.logits(features[fold == k]) > 0) == attributes[fold == k]).double().sum(dim=0)
    return correct / len(features)
