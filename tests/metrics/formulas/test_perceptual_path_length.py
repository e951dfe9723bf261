import numpy as np
import pytest
import torch

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.features import build_extractor
from stylegen.latent.sample_labels import RandomLabels, one_class
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.fakes import GeneratedImages
from stylegen.metrics.formulas.perceptual_path_length import EPSILON, Walk, path_distances, trimmed_mean
from stylegen.metrics.protocol.registry import METRICS
from tests.support.metric_images import Reals, SquaredDifference, evaluation_of
from tests.support.tiny import tiny_generator


def test_trimmed_mean_equals_numpys_percentiles() -> None:
    for count in (1, 2, 50, 101, 777):
        values = randomness.normal(0, "tests/ppl", torch.arange(count)).exp()
        array = values.double().numpy()
        low, high = (np.percentile(array, q, method=m) for q, m in ((1, "lower"), (99, "higher")))
        assert trimmed_mean(values) == pytest.approx(array[(array >= low) & (array <= high)].mean(), rel=1e-12)


@pytest.mark.parametrize("space", ["w", "z"])
def test_paths_are_steps_between_two_latents(space: str) -> None:
    """Start points have t = 0; against the definition in float64, network included."""
    generator = tiny_generator().double()
    index = torch.arange(3)
    z = [randomness.normal(0, f"ppl/z{k}", index, (generator.z_dim,)).double() for k in range(2)]
    if space == "w":
        a, b = (generator.mapping(end) for end in z)
        ends = [a, a + (b - a) * EPSILON]
    else:
        unit = [end / end.norm(dim=1, keepdim=True) for end in z]
        angle = (unit[0] * unit[1]).sum(1, keepdim=True).acos()
        moved = (((1 - EPSILON) * angle).sin() * unit[0] + (EPSILON * angle).sin() * unit[1]) / angle.sin()
        ends = [generator.mapping(unit[0]), generator.mapping(moved)]
    sizes = generator.synthesis.noise_sizes
    noise = [randomness.normal(0, f"ppl/noise{k}", index, (1, r, r)).double() for k, r in enumerate(sizes)]
    first, second = (generator.synthesis(w[:, None].repeat(1, generator.num_ws, 1), noise) for w in ends)
    expected = (first - second).square().flatten(1).sum(1) / EPSILON**2

    single = tiny_generator()
    parts = path_distances(single, torch.empty(0, 0), Walk(space, full=False), [0, 1, 2], 2, SquaredDifference())
    found = torch.cat(list(parts))[:, 0].double()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)  # a step of 1e-4 keeps few digits in float32


@pytest.mark.parametrize("walk", [Walk("w", False), Walk("z", True)])
def test_path_number_i_is_a_function_of_i(walk: Walk) -> None:
    distance = build_extractor("lpips_random_vgg16")
    images = GeneratedImages(Sampler(tiny_generator(num_classes=3), batch_size=4))
    whole = torch.cat(list(images.path_distances(walk, [0, 1, 2, 3, 4], distance)))
    assert whole.shape == (5, 1)
    assert (whole > 0).all()
    again = torch.cat(list(images.path_distances(walk, [3, 1], distance)))
    torch.testing.assert_close(again, whole[[3, 1]], rtol=0.2, atol=0)


def test_paths_of_one_class() -> None:
    walk, generator, table = Walk("w", full=False), tiny_generator(num_classes=3), torch.eye(3)
    one = GeneratedImages(Sampler(generator, labels=one_class(1, 3), batch_size=4))
    same = GeneratedImages(Sampler(generator, labels=RandomLabels(table[1:2]), batch_size=4))
    other = GeneratedImages(Sampler(generator, labels=RandomLabels(table[:1]), batch_size=4))
    a, b, c = (next(p.path_distances(walk, [0, 1, 2], SquaredDifference())) for p in (one, same, other))
    assert torch.equal(a, b)
    assert not torch.allclose(a, c, rtol=0.2)


@pytest.mark.parametrize("kind", ["wfull", "zend", "zfull"])
@pytest.mark.parametrize("prefix", ["ppl2", "ppl"])
def test_a_path_length_without_crop_has_no_official_name(prefix: str, kind: str) -> None:
    """The official ids are `ppl2_wend`, without crop, and `ppl_{z,w}{full,end}`, which crop the face."""
    with pytest.raises(
        UserError, match=rf"metrics={prefix}_{kind}: no such metrics. Did you mean [^?]*ppl_{kind}_uncropped"
    ):
        evaluation_of([f"{prefix}_{kind}"], 50_000, Reals(torch.zeros(1, 3, 8, 8))).check()
    assert METRICS[f"ppl_{kind}_uncropped"].walk == Walk(kind[0], full=kind.endswith("full"))
