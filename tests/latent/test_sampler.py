import pytest
import torch

from stylegen.errors import UserError
from stylegen.latent.labels import one_class
from stylegen.latent.mixing import mix
from stylegen.latent.sampler import Sampler
from stylegen.latent.truncation import truncate
from tests.support.tiny import tiny_generator


@pytest.mark.parametrize("noise", ["const", "none", "random"])
def test_same_seed_same_image_at_any_batch_size(noise: str) -> None:
    generator = tiny_generator()
    seeds = list(range(16))
    one, eight = (Sampler(generator, psi=0.7, noise=noise, batch_size=n).images(seeds) for n in (1, 8))
    assert (one.int() - eight.int()).abs().max() <= 1
    assert torch.equal(eight, Sampler(generator, psi=0.7, noise=noise, batch_size=8).images(seeds))


def test_noise_modes_differ_and_random_noise_follows_the_seed() -> None:
    generator = tiny_generator()
    images = {mode: Sampler(generator, noise=mode).images([5]) for mode in ("const", "none", "random")}
    assert not torch.equal(images["const"], images["none"])
    assert not torch.equal(images["const"], images["random"])
    sampler = Sampler(generator, noise="random")
    ws = sampler.ws([5]).expand(2, -1, -1)
    a, b = sampler.render(ws, [5, 6])
    assert not torch.equal(a, b)


def test_truncation_to_0_gives_the_mean_image() -> None:
    generator = tiny_generator()
    sampler = Sampler(generator)
    ws = sampler.ws([0, 1])
    a, b = sampler.render(ws, [0, 1], psi=0)
    assert torch.equal(a, b)
    assert torch.equal(truncate(ws, generator.mapping.w_avg, 1.0), ws)
    half = truncate(ws, generator.mapping.w_avg, 0.5, cutoff=2)
    torch.testing.assert_close(half[:, :2], (ws[:, :2] + generator.mapping.w_avg) / 2)
    assert torch.equal(half[:, 2:], ws[:, 2:])


def test_mixing_takes_exactly_the_named_layers() -> None:
    a, b = torch.zeros(2, 6, 3), torch.ones(1, 6, 3)
    assert mix(a, b, [1, 4])[:, :, 0].tolist() == [[0, 1, 0, 0, 1, 0]] * 2
    assert not a.any()


def test_labels_choose_the_image() -> None:
    generator = tiny_generator(num_classes=3)
    zero, two = (Sampler(generator, labels=one_class(k, 3)).images([0]) for k in (0, 2))
    assert not torch.equal(zero, two)
    assert torch.equal(Sampler(generator).images([0]), Sampler(generator).images([0]))


@pytest.mark.parametrize(
    "settings", [{"noise": "loud"}, {"batch_size": 0}, {"cutoff": 99}, {"cutoff": -1}]
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(UserError):
        Sampler(tiny_generator(), **settings)


def test_unknown_seed_sources_are_refused() -> None:
    with pytest.raises(UserError, match="seed_source=auto: no such seed_source"):
        Sampler(tiny_generator(), seed_source="auto")
