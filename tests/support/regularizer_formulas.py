"""Every discriminator regularizer in NumPy, from the papers, for a quadratic critic with known gradients.

    D(x) = s (x A x / 2 + b x),    grad D(x) = s (A x + b),    h(x) = s M x

x is a flattened image, A is symmetric, and s depends on the view: a pass with other dropout or augmentation. Imports
nothing of the package.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Images [N, C, H, W], random numbers by name, and the critic."""

    real: Array
    fake: Array
    random: Mapping[str, Array]
    A: Array
    b: Array
    M: Array
    second: float  # s of any view but "real" and "fake"
    downscale: int = 1  # full side / side of the images, each of whose pixels is a mean of downscale^2

    def logit(self, images: Array, s: float = 1.0) -> Array:
        x = images.reshape(len(images), -1)
        return s * (np.einsum("ni,ij,nj->n", x, self.A, x) / 2 + x @ self.b)

    def gradient(self, images: Array, s: float = 1.0) -> Array:
        """In the shape of the images."""
        return (s * (images.reshape(len(images), -1) @ self.A + self.b)).reshape(images.shape)

    def squares(self, images: Array, s: float = 1.0) -> Array:
        """|| grad D ||^2 of each full-size image: each of its pixels has 1 / downscale^2 of the derivative."""
        full = self.gradient(images, s) / self.downscale**2
        full = full.repeat(self.downscale, axis=2).repeat(self.downscale, axis=3)
        return (full**2).reshape(len(images), -1).sum(axis=1)

    def between(self) -> Array:
        share = self.random["share"]
        return share * self.real + (1 - share) * self.fake

    def perturbed(self) -> Array:
        return self.real + self.random["share"] * 0.5 * self.real.std() * self.random["noise"]


def sigmoid(t: Array) -> Array:
    return 1 / (1 + np.exp(-t))


def r1(case: Case) -> float:
    return float(10 / 2 * case.squares(case.real).mean())


def r2(case: Case) -> float:
    return float(10 / 2 * case.squares(case.fake).mean())


def zero_gp(case: Case) -> float:
    return float(10 * case.squares(case.between(), case.second).mean())


def wgan_gp(case: Case) -> float:
    return float(10 * ((np.sqrt(case.squares(case.between(), case.second)) - 1) ** 2).mean())


def wgan_div(case: Case) -> float:
    return float(2 * (np.sqrt(case.squares(case.between(), case.second)) ** 6).mean())


def dragan(case: Case) -> float:
    return float(10 * ((np.sqrt(case.squares(case.perturbed(), case.second)) - 1) ** 2).mean())


def roth(case: Case) -> float:
    real = (1 - sigmoid(case.logit(case.real))) ** 2 * case.squares(case.real)
    fake = sigmoid(case.logit(case.fake)) ** 2 * case.squares(case.fake)
    return float(0.1 / 2 * (real.mean() + fake.mean()))


def ct(case: Case) -> float:
    x = case.real.reshape(len(case.real), -1)
    logits = (case.logit(case.real) - case.logit(case.real, case.second)) ** 2
    features = ((x @ case.M.T - case.second * x @ case.M.T) ** 2).mean(axis=1)
    return float(2 * np.maximum(0, logits + 0.1 * features - 0).mean())


def bcr(case: Case) -> float:
    return sum(
        float(10 * ((case.logit(x) - case.logit(shifted(x, case.random[name]), case.second)) ** 2).mean())
        for name, x in (("real", case.real), ("fake", case.fake))
    )


def shifted(images: Array, numbers: Array, share: float = 0.125) -> Array:
    """Each image flipped if its first number is below 1/2, and shifted by up to `share` of the side: slow."""
    found = np.empty_like(images)
    side, largest = images.shape[-1], int(share * images.shape[-1])
    mirror = [*range(side), *reversed(range(side - 1))]  # 0 1 2 3 2 1 0: reflection at the borders
    for n, (flip, *where) in enumerate(numbers):
        dy, dx = (int(np.floor(w * (2 * largest + 1))) - largest for w in where)
        for i in range(side):
            for j in range(side):
                column = mirror[abs(j + dx)]
                column = side - 1 - column if flip < 0.5 else column
                found[n, :, i, j] = images[n, :, mirror[abs(i + dy)], column]
    return found


def drift(case: Case) -> float:
    return float(0.001 * (case.logit(case.real) ** 2).mean())


def zcr_d(case: Case) -> float:
    """For G(z) = z[0] x, with z[0] = 1 + 0.03 n."""
    other = (1 + 0.03 * case.random["noise"][:, :1, None, None]) * case.fake
    return float(5 * ((case.logit(case.fake) - case.logit(other, case.second)) ** 2).mean())


# Errors of public code.


def norm_over_the_whole_batch(case: Case) -> float:
    return float(10 * (np.sqrt(case.squares(case.between(), case.second).sum()) - 1) ** 2)


def norm_over_channels_of_each_pixel(case: Case) -> float:
    gradient = case.gradient(case.between(), case.second)
    return float(10 * ((np.sqrt((gradient**2).sum(axis=1)) - 1) ** 2).mean())


def r1_without_half(case: Case) -> float:
    return float(10 * case.squares(case.real).mean())


def wgan_div_with_target_one(case: Case) -> float:
    return float(2 * (np.abs(np.sqrt(case.squares(case.between(), case.second)) - 1) ** 6).mean())


def roth_of_the_probability(case: Case) -> float:
    """The gradient of sigmoid(D) in place of D's."""
    terms = []
    for images, real in ((case.real, True), (case.fake, False)):
        p = sigmoid(case.logit(images))
        terms.append(((1 - p if real else p) ** 2 * (p * (1 - p)) ** 2 * case.squares(images)).mean())
    return float(0.1 / 2 * sum(terms))


def one_share_for_the_batch(case: Case) -> float:
    share = case.random["share"][:1]
    x = share * case.real + (1 - share) * case.fake
    return float(10 * ((np.sqrt(case.squares(x, case.second)) - 1) ** 2).mean())


def dragan_with_each_images_deviation(case: Case) -> float:
    deviation = case.real.std(axis=(1, 2, 3), keepdims=True)
    x = case.real + case.random["share"] * 0.5 * deviation * case.random["noise"]
    return float(10 * ((np.sqrt(case.squares(x, case.second)) - 1) ** 2).mean())


FORMULAS = {f.__name__: f for f in (r1, r2, zero_gp, wgan_gp, wgan_div, dragan, roth, ct, bcr, drift, zcr_d)}
ERRORS = [
    ("wgan_gp", norm_over_the_whole_batch),
    ("wgan_gp", norm_over_channels_of_each_pixel),
    ("wgan_gp", one_share_for_the_batch),
    ("dragan", dragan_with_each_images_deviation),
    ("r1", r1_without_half),
    ("wgan_div", wgan_div_with_target_one),
    ("roth", roth_of_the_probability),
]
