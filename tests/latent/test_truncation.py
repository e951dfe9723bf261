import torch

from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler
from stylegen.latent.truncation import class_centers, label_centers, truncate
from tests.support.tiny import tiny_generator


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


def test_classes_are_truncated_toward_their_own_mean() -> None:
    """psi 0 gives each class its mean w, over the same z."""
    generator = tiny_generator(num_classes=3)
    centers = class_centers(generator, torch.arange(3), count=64)
    for k in range(3):
        sampler = Sampler(generator, labels=one_class(k, 3), centers=centers)
        mean = sampler.ws(list(range(64))).mean(dim=0)
        torch.testing.assert_close(sampler.truncated(sampler.ws([5]), [5], psi=0.0)[0], mean)
    assert (centers[0] - centers[1]).norm() > 0.1


def test_centers_of_mixtures_are_weighted_means() -> None:
    centers, w_avg = torch.tensor([[0.0, 4.0], [2.0, 0.0]]), torch.tensor([9.0, 9.0])
    labels = torch.tensor([[0.25, 0.75], [2.0, 0.0], [0.0, 0.0], [-1.0, 1.0]])
    assert label_centers(labels, centers, w_avg)[:, 0].tolist() == [[1.5, 1.0], [0.0, 4.0], [9.0, 9.0], [2.0, 0.0]]
