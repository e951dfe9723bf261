"""Adversarial losses by name."""

from stylegen.losses.auxiliary_classifier import AuxiliaryClassifier
from stylegen.losses.began import Began
from stylegen.losses.gan_qp import GANQP
from stylegen.losses.hinge import Hinge
from stylegen.losses.least_squares import LeastSquares
from stylegen.losses.loss import Loss as Loss
from stylegen.losses.minimax import Minimax
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.losses.relativistic import Relativistic
from stylegen.losses.semi_supervised import SemiSupervised
from stylegen.losses.wasserstein import Wasserstein

LOSSES: dict[str, type[Loss]] = {
    "minimax": Minimax,
    "nonsaturating": Nonsaturating,
    "wasserstein": Wasserstein,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "began": Began,
    "relativistic": Relativistic,
    "gan_qp": GANQP,
    "auxiliary_classifier": AuxiliaryClassifier,
    "semi_supervised": SemiSupervised,
}
