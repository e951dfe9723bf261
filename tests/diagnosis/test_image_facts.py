"""Distances, repetitions and classes of small sets with known values."""

import json

import pytest
import torch

from stylegen import randomness
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.data.dataset import ImageDataset
from stylegen.diagnosis import image_facts as facts
from stylegen.images import write_png
from stylegen.latent.sampler import Sampler
from stylegen.one_hot import OneHot
from tests.support.tiny import tiny_generator


def test_distances_are_root_mean_squares_of_gray_levels():
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    images[1], images[2, :, :, 16:] = 8, 8
    vectors = facts.shrunk(images)
    assert vectors.shape == (3, 3 * 16 * 16)
    half = 8 / 2**0.5
    torch.testing.assert_close(facts.distances(vectors)[0], torch.tensor([0.0, 8.0, half]))
    assert facts.mean_distance(vectors) == pytest.approx((8 + 2 * half) / 3)
    assert facts.nearest_distance(vectors) == pytest.approx(half)


def test_fine_detail_does_not_count():
    checks = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).repeat(16, 16).expand(1, 3, 32, 32)
    assert facts.distances(facts.shrunk(torch.cat([checks, 255 - checks]))).max() == 0


def test_sets_of_one_image_have_no_distance():
    assert facts.mean_distance(torch.ones(1, 4)) == facts.nearest_distance(torch.ones(1, 4)) == 0


@pytest.mark.parametrize(("copies", "number"), [([1, 1, 1, 1], 4), ([4], 1), ([2, 2], 2), ([3, 1], 1.6)])
def test_effective_number(copies, number):
    assert facts.effective_number(copies) == number


def test_class_counts():
    assert facts.class_counts(OneHot(torch.tensor([0, 3, 0]), 5)) == [2, 0, 0, 1, 0]
    assert facts.class_counts(torch.rand(3, 2)) == facts.class_counts(torch.empty(3, 0)) == []


@pytest.mark.parametrize(("whole", "example"), [(True, ("1.png", "3.png")), (False, None)])
def test_repeated_images_are_counted(whole, example, tmp_path):
    for number, level in enumerate((0, 9, 5, 9, 9)):
        write_png(tmp_path / f"{number}.png", torch.full((3, 8, 8), level, dtype=torch.uint8))
    found = facts.data_facts(ImageDataset(tmp_path, cache="off"), whole)
    assert (found.num_images, found.checked, found.repeated) == (5, 5, 2)
    assert found.example == example
    assert found.effective == pytest.approx(25 / 11)


def test_few_images_are_in_memory_at_full_resolution(tmp_path, monkeypatch):
    names = [f"{number:02d}.png" for number in range(80)]
    for name in names:
        write_png(tmp_path / name, torch.randint(256, (3, 32, 32), dtype=torch.uint8))
    labels = {"labels": [[name, 0] for name in names]}
    (tmp_path / "dataset.json").write_text(json.dumps(labels))
    save_snapshot(tmp_path / "1.safetensors", tiny_generator(32, num_classes=1), {"images_seen": 1000})
    data, sizes, shrunk = ImageDataset(tmp_path, cache="off", use_labels=True), [], facts.shrunk

    def recorded(images):
        sizes.append(len(images))
        return shrunk(images)

    monkeypatch.setattr(facts, "shrunk", recorded)
    diversity = facts.Diversity(data, 70, torch.device("cpu"))
    found = diversity.measure(tmp_path / "1.safetensors")
    classes = diversity.measure_classes(tmp_path / "1.safetensors", [80])
    assert sizes == [32, 32, 6] * 2 + [32, 32] * 2

    order = randomness.permutation(80, 0, "diagnosis/reals")[:70]
    samples = Sampler(tiny_generator(32, num_classes=1), batch_size=32)
    spread = facts.mean_distance(shrunk(samples.images(list(range(70)))))
    assert found.spread == pytest.approx(spread / facts.mean_distance(shrunk(data.batch(order)[0])))
    spread = facts.mean_distance(shrunk(samples.images(list(range(64)))))
    assert classes[0] == pytest.approx(spread / facts.mean_distance(shrunk(data.batch(range(64))[0])))
