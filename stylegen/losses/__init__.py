"""Adversarial losses by name."""

from stylegen.losses.loss import Loss as Loss
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.losses.relativistic import Relativistic

LOSSES: dict[str, type[Loss]] = {"nonsaturating": Nonsaturating, "relativistic": Relativistic}
