import itertools

import pytest

from stylegen.training.observers.schedule import is_due


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_every_multiple_is_met_once_at_any_batch_size(batch: int) -> None:
    total, every = 10_000, 2_500
    edges = [*range(0, total, batch), total]
    times = [b for a, b in itertools.pairwise(edges) if is_due(a, b, every, total)]
    assert [t // every for t in times] == [1, 2, 3, 4]
    assert times[-1] == total


def test_zero_means_the_end_only() -> None:
    assert not is_due(0, 99, 0, 100)
    assert is_due(99, 100, 0, 100)
