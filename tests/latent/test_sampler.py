import pytest
import torch

from stylegen.errors import UserError
from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler
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


def test_labels_choose_the_image() -> None:
    generator = tiny_generator(num_classes=3)
    zero, two = (Sampler(generator, labels=one_class(k, 3)).images([0]) for k in (0, 2))
    assert not torch.equal(zero, two)
    assert torch.equal(Sampler(generator).images([0]), Sampler(generator).images([0]))


@pytest.mark.parametrize("settings", [{"noise": "loud"}, {"batch_size": 0}, {"cutoff": 99}, {"cutoff": -1}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(UserError):
        Sampler(tiny_generator(), **settings)


def test_unknown_seed_sources_are_refused() -> None:
    with pytest.raises(UserError, match="seed_source=auto: no such seed_source"):
        Sampler(tiny_generator(), seed_source="auto")
