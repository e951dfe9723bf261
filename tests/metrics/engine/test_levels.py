"""A network that is still growing is measured at its current resolution, which is part of the metric's name."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from stylegen.errors import UserError
from stylegen.metrics.engine.real_sets import PublishedReals, ReducedReals
from stylegen.metrics.protocol.evaluation_settings import Protocol
from stylegen.metrics.protocol.registry import better_direction
from tests.support.metric_images import Reals, evaluation_of, portraits
from tests.support.tiny import tiny_generator

FD = "fd_random_vgg16"


class LabeledReals(Reals):
    class_names = ("left", "right")

    def labels(self) -> torch.Tensor:
        return torch.eye(2)[torch.arange(len(self.images)) % 2]


def test_reals_are_averaged_over_blocks_and_known_by_another_fingerprint() -> None:
    reals = Reals(portraits(12, side=16))
    half = ReducedReals(reals, 8)
    images = reals.batch(torch.arange(12))[0]
    means = images.double().reshape(12, 3, 8, 2, 8, 2).mean(dim=(3, 5))
    assert (half.batch(torch.arange(12))[0].double() - means).abs().max() <= 0.5
    assert half.spec.resolution == 8
    assert half.fingerprint != reals.fingerprint
    assert half.name.endswith("at 8 px")


@pytest.mark.usefixtures("thumbnail")
def test_the_name_contains_the_resolution(tmp_path: Path) -> None:
    reals, generator = LabeledReals(portraits(48, side=16)), tiny_generator(name="stylegan1", num_classes=2)
    generator.set_level(8)
    card = evaluation_of([FD], 48, reals, cache_dir=str(tmp_path)).measure_generator(generator, per_class=4)
    assert list(card.metrics) == [f"{FD}_8px"]
    assert card.dataset["resolution"] == 8
    assert card.references[f"{FD}_8px"]["real_vs_real"] < card.metrics[f"{FD}_8px"]
    assert better_direction(f"{FD}_8px") == "lower"
    assert list(card.classes) == ["left", "right", "mean over classes"]
    assert all(list(values) == [f"{FD}_8px"] for values in card.classes.values())
    mirrored = Protocol(mirror_reals=True)
    names = evaluation_of(
        [FD, "authenticity_random_vgg16"], 8, reals, **asdict(mirrored), cache=False
    ).measure_generator(generator)
    assert list(names.metrics) == [f"{FD}_mirrored-reals_8px", "authenticity_random_vgg16_mirrored-reals_8px"]
    generator.set_level(16)
    assert list(evaluation_of([FD], 48, reals, cache_dir=str(tmp_path)).measure_generator(generator).metrics) == [FD]


def test_published_statistics_cannot_be_reduced() -> None:
    generator = tiny_generator(name="stylegan1")
    generator.set_level(8)
    zeros = torch.zeros(512, dtype=torch.float64)
    published = PublishedReals(Reals(portraits(2, side=16)).spec, "stats.npz", "sha256:0", zeros, zeros.diag())
    with pytest.raises(UserError, match=r"stats\.npz for a network at 8 px: .* cannot be reduced"):
        evaluation_of([FD], 8, published).measure_generator(generator)
    with pytest.raises(UserError, match=r"statistics=stats\.npz: statistics have no images\. Use data\.path="):
        published.batch(torch.arange(1))
