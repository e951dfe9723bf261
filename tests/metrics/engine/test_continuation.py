"""An interrupted evaluation is continued and gives the same number."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from stylegen import features
from stylegen.features import PairDistance
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine import continuation
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.fakes import GeneratedImages, StoredImages
from stylegen.metrics.formulas.perceptual_path_length import Walk
from tests.support.metric_images import Reals, SquaredDifference, evaluation_of, noisy, portraits
from tests.support.tiny import tiny_generator

IDS = ["fd_random_vgg16", "prdc_random_vgg16"]


class Interrupted(StoredImages):
    """Stops after some images, like Ctrl-C or a kill."""

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

    def metric(images: StoredImages, folder: str, identity: str = "a") -> dict[str, float]:
        card = evaluation_of(IDS, 30, reals, cache_dir=str(tmp_path / folder)).measure(images, identity=identity)
        return card.metrics

    whole = metric(StoredImages(fakes, 4), "whole")
    first = Interrupted(fakes, 4)
    first.stop, first.error = 12, error
    with pytest.raises(error):
        metric(first, "continued")
    other = Interrupted(fakes, 4)
    metric(other, "continued", identity="b")  # the state of other images is not used
    assert other.seen == 30
    second = Interrupted(fakes, 4)
    assert metric(second, "continued") == pytest.approx(whole, rel=1e-9)
    assert second.seen == 18
    assert not list((tmp_path / "continued").glob("*unfinished*"))


@pytest.mark.usefixtures("thumbnail")
def test_nothing_is_generated_again_where_the_comparison_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All fakes are measured; references and pairwise metrics can still take minutes."""
    reals = Reals(portraits(40, side=16))

    def metric(images: StoredImages) -> dict[str, float]:
        return evaluation_of(IDS, 40, reals, cache_dir=str(tmp_path)).measure(images, identity="a").metrics

    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "_references", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            metric(StoredImages(reals, 4))
    second = Interrupted(reals, 4)
    assert metric(second)["prdc_random_vgg16_precision"] == 1
    assert second.seen == 0
    assert not list(tmp_path.glob("*unfinished*"))


def test_paths_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "SECONDS", 0.0)
    monkeypatch.setitem(features.DISTANCES, "lpips_random_vgg16", lambda weights, device: Named())
    walked: list[int] = []

    class Named(SquaredDifference):
        name = "lpips_random_vgg16"

    class Walked(GeneratedImages):
        stop = 99

        def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
            for number, part in zip(numbers[::2], super().path_distances(walk, numbers, distance), strict=True):
                if number >= self.stop:
                    raise SystemError("killed")
                walked.append(number)
                yield part

    def metric(images: GeneratedImages, folder: str) -> dict[str, float]:
        reals = Reals(portraits(4, side=16))
        ids = ["ppl2_wend_random_vgg16"]
        return evaluation_of(ids, 8, reals, cache_dir=str(tmp_path / folder)).measure(images, identity="a").metrics

    sampler = Sampler(tiny_generator(), batch_size=2)
    whole = metric(GeneratedImages(sampler), "whole")
    killed = Walked(sampler)
    killed.stop = 4
    with pytest.raises(SystemError):
        metric(killed, "continued")
    assert metric(Walked(sampler), "continued") == pytest.approx(whole, rel=1e-9)
    assert walked == [0, 2, 4, 6]


@pytest.mark.usefixtures("thumbnail")
def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "SECONDS", 0.0)
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path))
    reals = Reals(portraits(40, side=16))
    evaluation_of(IDS, 40, reals, cache=False).measure(StoredImages(reals, 4), identity="a")
    assert not list(tmp_path.rglob("*"))
