from stylegen.losses.wasserstein import Wasserstein
from tests.support.loss_formulas import assert_formulas


def test_by_the_papers_formula() -> None:
    d = lambda r, f: f.logits.mean() - r.logits.mean()  # noqa: E731
    assert_formulas(Wasserstein(), d=d, g=lambda r, f: -f.logits.mean())
