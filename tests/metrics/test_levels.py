"""A network that is still growing is measured at its own resolution, and the number's name says so."""

from pathlib import Path

import torch

from stylegen.metrics.generated import score_generator
from stylegen.metrics.reals import ReducedReals
from stylegen.metrics.registry import sense_of
from tests.metrics.pictures import Reals, portraits
from tests.tiny import tiny_generator


class LabelledReals(Reals):
    def labels(self) -> torch.Tensor:
        return torch.empty(len(self.images), 0)


def test_reals_are_averaged_over_blocks_and_known_by_another_fingerprint() -> None:
    reals = Reals(portraits(12, side=16))
    half = ReducedReals(reals, 8)
    images = reals.batch(torch.arange(12))[0]
    means = images.double().reshape(12, 3, 8, 2, 8, 2).mean(dim=(3, 5))
    assert (half.batch(torch.arange(12))[0].double() - means).abs().max() <= 0.5
    assert half.spec.resolution == 8
    assert half.fingerprint != reals.fingerprint
    assert half.name.endswith("at 8 px")


def test_the_score_says_at_which_resolution_it_was_taken(tmp_path: Path) -> None:
    reals, generator = LabelledReals(portraits(48, side=16)), tiny_generator(name="stylegan1")
    generator.set_level(8)
    card = score_generator(generator, reals, ["fd_random_vgg16"], 48, cache_dir=tmp_path)
    assert list(card.metrics) == ["fd_random_vgg16_8px"]
    assert card.dataset["resolution"] == 8
    assert card.references["fd_random_vgg16_8px"]["real_vs_real"] < card.metrics["fd_random_vgg16_8px"]
    assert sense_of("fd_random_vgg16_8px") == "lower"
    generator.set_level(16)
    assert list(score_generator(generator, reals, ["fd_random_vgg16"], 48, cache_dir=tmp_path).metrics) == [
        "fd_random_vgg16"
    ]
