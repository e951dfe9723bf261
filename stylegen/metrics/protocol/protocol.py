"""The protocol of StyleGAN2-ADA's metrics, and the names of numbers that depart from it."""

import math
from dataclasses import dataclass

from stylegen.errors import UserError, unknown_choice

NOISES = ("random", "const", "none")
LABELS = ("data", "uniform")


@dataclass(frozen=True)
class Protocol:
    """Choices outside the metrics that move their numbers. A departure from StyleGAN2-ADA's changes the name.

    Args:
        truncation_psi: all StyleGAN papers evaluate without truncation, psi 1.
        noise: "random", fresh for each image; "const", as stored with the weights; "none".
        labels: of a conditional generator: "data", drawn from the dataset; "uniform", every class alike.
        mirror_reals: count mirror images among the reals. StyleGAN2-ADA (2020) does not, even after training with
            them; StyleGAN and StyleGAN2 do at random, which `fid50k`, `kid50k` and `pr50k3` follow by themselves.

    Raises:
        UserError: another noise or labels; psi not finite.
    """

    truncation_psi: float = 1.0
    noise: str = "random"
    labels: str = "data"
    mirror_reals: bool = False

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise unknown_choice("evaluation.noise", self.noise, NOISES)
        if self.labels not in LABELS:
            raise unknown_choice("evaluation.labels", self.labels, LABELS)
        if not math.isfinite(self.truncation_psi):
            problem = f"evaluation.truncation_psi={self.truncation_psi}"
            raise UserError(
                problem, rule="it is a finite number", fix="Use evaluation.truncation_psi=1, as the papers do"
            )

    def suffix(
        self, generated: bool = True, walked: bool = False, against_reals: bool = True, conditional: bool = True
    ) -> str:
        """What is appended to a metric's name: "" by the protocol, "_psi0.7_noise-const" for these departures.

        A departure that plays no part in the number is no part of its name.

        Args:
            generated: False for pictures that are measured as stored.
            walked: the number is a path length, which knows neither truncation nor kinds of noise.
            against_reals: the metric compares with real images.
            conditional: the generator takes labels.
        """
        parts = []
        if generated and not walked and self.truncation_psi != 1:
            parts.append(f"_psi{self.truncation_psi:g}")
        if generated and not walked and self.noise != "random":
            parts.append(f"_noise-{self.noise}")
        if generated and conditional and self.labels != "data":
            parts.append(f"_labels-{self.labels}")
        if against_reals and self.mirror_reals:
            parts.append("_mirrored-reals")
        return "".join(parts)


OFFICIAL = Protocol()
