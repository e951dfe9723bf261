import numpy as np

from stylegen.losses.minimax import Minimax
from tests.support.loss_formulas import assert_formulas


def test_by_the_papers_formula() -> None:
    """Eq. 1: V = E log sigmoid(D(x)) + E log(1 - sigmoid(D(G(z)))); D minimizes -V, G minimizes V."""
    sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    of_real = lambda r: np.log(sigmoid(r.logits)).mean()  # noqa: E731
    of_fake = lambda f: np.log(1 - sigmoid(f.logits)).mean()  # noqa: E731
    assert_formulas(Minimax(), d=lambda r, f: -of_real(r) - of_fake(f), g=lambda r, f: of_fake(f))
