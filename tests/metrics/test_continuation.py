"""An interrupted score goes on where it was, and ends with the same number."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from stylegen.metrics import compute_metrics, continuation
from stylegen.metrics.fakes import StoredPictures
from tests.metrics.pictures import Reals, noisy, portraits

IDS = ["fd_random_vgg16", "prdc_random_vgg16"]


class Interrupted(StoredPictures):
    """Stops at a picture as Ctrl-C or a kill would."""

    stop: int | None = None
    error: type[BaseException] = KeyboardInterrupt
    seen = 0

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        for batch in super().batches(numbers):
            if self.stop is not None and self.seen >= self.stop:
                raise self.error
            self.seen += len(batch)
            yield batch


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemError])
def test_interrupted_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    monkeypatch.setattr(continuation, "SECONDS", 0.0)
    reals = Reals(portraits(40, side=16))
    fakes = Reals(noisy(portraits(30, side=16, first=100), 20))

    def score(pictures: StoredPictures, folder: str, identity: str = "a") -> dict[str, float]:
        card = compute_metrics(IDS, pictures, 30, reals, cache_dir=tmp_path / folder, identity=identity)
        return card.metrics

    whole = score(StoredPictures(fakes, 4), "whole")
    first = Interrupted(fakes, 4)
    first.stop, first.error = 12, error
    with pytest.raises(error):
        score(first, "continued")
    other = Interrupted(fakes, 4)
    score(other, "continued", identity="b")  # somebody else's state is none
    assert other.seen == 30
    second = Interrupted(fakes, 4)
    assert score(second, "continued") == pytest.approx(whole, rel=1e-9)
    assert second.seen == 18
    assert not list((tmp_path / "continued").glob("*unfinished*"))


@pytest.mark.usefixtures("thumbnail")
def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "SECONDS", 0.0)
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path))
    reals = Reals(portraits(40, side=16))
    compute_metrics(IDS, StoredPictures(reals, 4), 40, reals, cache=False, identity="a")
    assert not list(tmp_path.rglob("*"))
